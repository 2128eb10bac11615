/* The search page: what is asked for goes into the address, what is chosen stays while people look further, and one
   label for many goes out in portions, each with the person's token, which stays in its field. */
(function () {
  "use strict";

  const SHOWN = 12;
  const chosen = new Map(); // project -> tasks, also of earlier searches

  let now = null; // {meta, items, ready, action}
  let busy = false;
  let focused = null; // the field that a search was started from

  const at = (id) => document.getElementById(id);
  const many = (count, what) => count.toLocaleString("en") + " " + what + (count === 1 ? "" : "s");
  const percent = (share) => Math.round(100 * share) + "%";

  function made(tag, text, more = {}) {
    const element = Object.assign(document.createElement(tag), more);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.search = {
    open: function (meta) {
      if (!meta) return "";
      now = { meta: meta, ready: [], action: "" };
      if (!chosen.has(meta.project)) chosen.set(meta.project, new Set());
      list();
      count();
      showActions(meta.actions);
      if (focused && at(focused)) at(focused).focus();
      focused = null;
      return "";
    },
  };
  /** Choose tasks of a project, from another page. */
  window.dash_clientside.search.choose = (project, tasks) => chosen.set(project, new Set(tasks));

  const mine = () => chosen.get(now.meta.project);

  async function send(path, body) {
    try {
      const answer = await fetch(now.meta.api + path, {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
      });
      const content = await answer.json().catch(() => ({}));
      return { ok: answer.ok, content: content, text: content.message || content.error || "The backend does not answer as it should." };
    } catch (error) {
      return { ok: false, content: {}, text: "The backend does not answer; is it running?" };
    }
  }

  function say(id, text, kind) {
    const told = at(id);
    if (!told) return;
    told.textContent = text;
    told.className = text ? "notice " + kind : "note";
  }

  // --- what is found -----------------------------------------------------------------------------------------------

  /** What people see of a task: always as text or an image of ours, never as HTML. */
  function shown(task, item) {
    if (item && item.image) return made("img", undefined, { src: item.image, alt: "Image of task " + task });
    return made("blockquote", item ? item.text : "Not read on this machine.");
  }

  function link(task) {
    return made("a", "Task " + task, { href: now.meta.task_link + task, target: "_blank", rel: "noopener noreferrer" });
  }

  function facts(row) {
    const told = [row.is_control ? "queued as a control task" : now.meta.states[row.state]];
    if (row.label !== null) told.push("label: " + row.label);
    if (row.guess !== null) told.push("guess: " + row.guess + ", " + percent(row.probability));
    if (row.likeness !== null) told.push("alike: " + percent(Math.max(0, row.likeness)));
    return told.join(" · ");
  }

  function list() {
    at("search-list").replaceChildren(...now.meta.rows.map(function (row) {
      const entry = made("li", undefined, { className: "task" }), name = made("label"), box = made("input");
      box.type = "checkbox";
      box.dataset.choose = row.task_id;
      box.setAttribute("aria-label", "Choose task " + row.task_id);
      box.checked = mine().has(row.task_id);
      name.append(box, shown(row.task_id, row.item));
      const more = made("button", "Like this", { className: "button plain small", type: "button" });
      more.dataset.like = row.task_id;
      more.setAttribute("aria-label", "Find tasks like task " + row.task_id);
      const last = made("div", undefined, { className: "beside" });
      last.append(link(row.task_id), more);
      entry.append(name, made("div", facts(row), { className: "quiet" }), last);
      return entry;
    }));
  }

  function count() {
    const size = mine().size;
    at("search-count-told").textContent = size ? many(size, "task") + " chosen." : "No task is chosen.";
    at("search-ask").disabled = at("search-none").disabled = !size || busy;
    at("search-look").disabled = !size || busy || !at("search-as").value;
    at("search-list").querySelectorAll("input").forEach((box) => (box.checked = mine().has(Number(box.dataset.choose))));
    if (at("search-write")) at("search-write").disabled = busy;
  }

  /** Something else is chosen: what was looked at is no longer what would be labelled. */
  function changed() {
    at("search-preview").hidden = true;
    count();
  }

  function choose(tasks) {
    tasks.forEach((task) => mine().add(task));
    changed();
  }

  async function askFirst() {
    const found = await window.overrides.send(now.meta.api, "boost", [...mine()]);
    say("search-answer", found.text, found.ok ? "good" : "error");
  }

  // --- one label for many --------------------------------------------------------------------------------------------

  async function look() {
    const label = at("search-as").value, found = await send("/bulk/preview", { task_ids: [...mine()] });
    if (!found.ok) return say("search-answer", found.text, "error");
    say("search-answer", "", "");
    now.ready = found.content.ready;
    now.action = "";
    const panel = at("search-preview"), ready = now.ready.length;
    const parts = [made("h3", ready ? many(ready, "task") + " would be labelled “" + label + "”." : "None of these tasks can be labelled.")];
    const left = found.content.left.map((each) => each.count.toLocaleString("en") + " " + each.why);
    if (left.length) parts.push(made("p", "Left alone: " + left.join("; ") + "."));
    const answers = Object.entries(found.content.answers);
    if (answers.length) {
      const told = answers.map(([name, times]) => times.toLocaleString("en") + " × " + name).join(", ");
      parts.push(made("p", "Answers that there are, and stay: " + told + "."));
    }
    if (ready) {
      parts.push(made("p", ready > SHOWN ? "Some of them, from the first chosen to the last:" : "They are:"));
      const sample = made("ul", undefined, { className: "tasks search-list" });
      sample.append(...found.content.sample.map(function (each) {
        const entry = made("li", undefined, { className: "task" });
        entry.append(shown(each.task_id, each.item), link(each.task_id));
        return entry;
      }));
      const buttons = made("div", undefined, { className: "actions" });
      const write = made("button", "Label " + many(ready, "task") + " as “" + label + "”", { className: "button", type: "button", id: "search-write" });
      const not = made("button", "Do not", { className: "button plain", type: "button", id: "search-not" });
      buttons.append(write, not);
      parts.push(sample, buttons);
    }
    panel.replaceChildren(...parts);
    panel.hidden = false;
    panel.focus();
  }

  function token() {
    const field = at("search-token");
    if (field.value.trim()) return field.value.trim();
    say("search-undo-answer", "Type your own Label Studio access token first: the answers are written under your name.", "error");
    field.focus();
    return "";
  }

  /** 32 hexadecimal digits; `crypto.randomUUID` is for https alone. */
  function newAction() {
    return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /** Portion by portion, until all is done; what breaks off can be gone on with. */
  async function run(path, body, size) {
    const page = now, bar = at("search-progress");
    busy = true;
    count();
    showActions(page.meta.actions);
    bar.hidden = false;
    bar.max = Math.max(1, size);
    bar.value = 0;
    let found;
    do {
      found = await send(path, body);
      if (now !== page) break; // another page: what is left can be gone on with
      say("search-undo-answer", found.text, found.ok ? (found.content.done ? "good" : "info") : "error");
      if (found.ok) {
        const undone = found.content.taken_back + Object.values(found.content.kept).reduce((sum, each) => sum + each, 0);
        bar.value = path.endsWith("undo") ? undone : found.content.looked_at;
      }
    } while (found.ok && !found.content.done);
    busy = false;
    if (now !== page || !at("search-progress")) return found.ok;
    bar.hidden = true;
    if (found.ok && path === "/bulk") {
      mine().clear();
      changed();
    }
    count();
    await renewActions();
    return found.ok;
  }

  async function renewActions() {
    try {
      const answer = await fetch(now.meta.api + "/bulk");
      if (answer.ok) now.meta.actions = (await answer.json()).actions;
    } catch (error) { /* the old list stays */ }
    showActions(now.meta.actions);
  }

  const STATES = { unfinished: "broken off", done: "done", undoing: "being taken back", undone: "taken back" };

  function showActions(actions) {
    const rows = actions.map(function (action) {
      const entry = made("li"), kept = Object.values(action.kept).reduce((sum, each) => sum + each, 0);
      const numbers = action.written.toLocaleString("en") + " of " + many(action.tasks, "task") + " as “" + action.label + "”";
      const back = action.taken_back ? ", " + action.taken_back.toLocaleString("en") + " taken back" : "";
      const stayed = kept ? ", " + kept.toLocaleString("en") + " kept: changed or deleted since" : "";
      const told = made("p", numbers + " (" + STATES[action.state] + back + stayed + ")");
      const who = made("p", new Date(action.started).toLocaleString() + " · " + action.email, { className: "quiet" });
      const buttons = made("div", undefined, { className: "actions" });
      const add = function (text, name) {
        const button = made("button", text, { className: "button plain small", type: "button", disabled: busy });
        button.dataset[name] = action.action;
        button.setAttribute("aria-label", text + ": " + numbers);
        buttons.append(button);
      };
      if (action.state === "unfinished") add("Go on", "resume");
      if (action.state !== "undone" && (action.written || action.state === "unfinished")) add("Undo", "undo");
      entry.append(told, who, buttons);
      return entry;
    });
    at("search-actions").replaceChildren(...(rows.length ? rows : [made("li", "Nothing yet.", { className: "quiet" })]));
  }

  function actionOf(id) {
    return now.meta.actions.find((each) => each.action === id);
  }

  async function write() {
    const given = token();
    if (!given || busy) return;
    now.action = now.action || newAction();
    const body = { action: now.action, label: at("search-as").value, task_ids: now.ready, token: given };
    await run("/bulk", body, now.ready.length);
  }

  async function again(button) {
    const given = token(), id = button.dataset.undo || button.dataset.resume, action = actionOf(id);
    if (!given || busy || !action) return;
    if (button.dataset.undo && !button.dataset.sure) {
      button.dataset.sure = "yes";
      button.textContent = "Take back " + many(action.written, "answer") + "?";
      button.setAttribute("aria-label", button.textContent);
      return;
    }
    const undo = Boolean(button.dataset.undo);
    await run(undo ? "/bulk/undo" : "/bulk", { action: id, token: given }, undo ? action.written : action.tasks);
    const first = at("search-actions").querySelector("button");
    if (first) first.focus();
  }

  // --- what people press ---------------------------------------------------------------------------------------------

  function search() {
    focused = document.activeElement && document.activeElement.id;
    window.filters.go(window.filters.read(at("search-form")));
  }

  const PRESSED = {
    "search-go": search,
    "search-reset": () => { focused = "search-words"; window.filters.go({}); },
    "search-page": () => choose(now.meta.rows.map((row) => row.task_id)),
    "search-all": () => choose(now.meta.ids),
    "search-none": () => { mine().clear(); changed(); },
    "search-ask": askFirst,
    "search-look": look,
    "search-write": write,
    "search-not": () => { at("search-preview").hidden = true; at("search-look").focus(); },
  };

  document.addEventListener("click", function (event) {
    const button = event.target.closest("button");
    if (!button || !now || !at("search-list")) return;
    if (PRESSED[button.id]) return PRESSED[button.id]();
    if (button.dataset.like) {
      focused = "search-like";
      return window.filters.go({ like: button.dataset.like });
    }
    if (button.dataset.start) {
      return window.filters.go({ ...window.filters.read(at("search-form")), start: button.dataset.start });
    }
    if (button.dataset.undo || button.dataset.resume) again(button);
  });

  document.addEventListener("change", function (event) {
    if (!now || !at("search-list")) return;
    if (event.target.dataset.choose) {
      const task = Number(event.target.dataset.choose);
      if (event.target.checked) mine().add(task); else mine().delete(task);
      changed();
    } else if (event.target.id === "search-as") {
      changed();
    }
  });

  document.addEventListener("keydown", function (event) {
    if (event.key === "Enter" && event.target.closest("#search-form input, #search-form select")) search();
  });
})();
