/* The map: loaded, coloured, replayed and selected in the browser; `a-points.js` draws it. Each version's points are
   fetched once. */
(function () {
  "use strict";

  const QUIET = "#8b8f98";
  // Told apart on light and dark, and by colour-blind readers (Okabe & Ito); with 13 shapes that makes 130 classes.
  const COLOURS = ["#3b7dd8", "#d9730d", "#1a9c75", "#b8559a", "#8a8f00", "#c2410c", "#5b8fb9", "#7c6fcd", "#d4a800",
    "#00a3c4"];
  const SHAPES = window.points.SHAPES;
  const STATES = [
    { name: "open", color: QUIET, shape: 0, size: 5 },
    { name: "queued", color: "#d9730d", shape: 2, size: 11 },
    { name: "labelled", color: "#1a9c75", shape: 1, size: 9 },
    { name: "evaluation", color: "#7c6fcd", shape: 3, size: 8 },
  ];
  const ORDER = [0, 3, 2, 1]; // of drawing: what matters most lies on top
  const CIVIDIS = ["#00224e", "#35456c", "#666970", "#948e77", "#c8b866", "#fee838"];
  const SHOWN = 24;
  const PLAY = 1100;
  const NEAR = 12; // pixels

  let now = null; // the map on the page

  const at = (id) => document.getElementById(id);
  const still = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const touch = () => window.matchMedia("(hover: none)").matches;
  const many = (count, what) => count.toLocaleString("en") + " " + what + (count === 1 ? "" : "s");

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.pool_map = {
    open: function (meta) {
      if (meta && meta.versions.length) start(meta);
      return "";
    },
  };

  function start(meta) {
    const frame = at("map-frame");
    const map = {
      meta: meta, frame: frame, colour: "state", tool: touch() ? "pan" : "lasso", index: Number(at("map-slider").value),
      data: null, maps: new Map(), items: new Map(), selected: new Set(), hidden: new Set(), playing: 0, tip: -1,
    };
    now = map;
    map.plot = window.points.plot(frame, at("map-canvas"), at("map-over"), {
      hover: (i, mouse) => (i === null ? hideTip(map) : showTip(map, i, mouse)),
      click: (i, mouse) => openTask(map, i, mouse),
      lasso: (rows) => { select(map, rows.map((i) => map.data.task_ids[i])); draw(map); },
    }, NEAR);
    if (!map.plot) {
      at("map-caption").textContent = "This browser shows no WebGL, so the map cannot be drawn. Tasks can be selected "
        + "without it, on this page.";
    }
    wire(map);
    goTo(map, map.index);
  }

  function wire(map) {
    at("map-colour").addEventListener("click", function (event) {
      const button = event.target.closest("[data-colour]");
      if (!button) return;
      map.colour = button.dataset.colour;
      at("map-colour").querySelectorAll("button").forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
      map.hidden.clear();
      draw(map);
    });
    at("map-slider").addEventListener("input", (event) => goTo(map, Number(event.target.value)));
    at("map-play").addEventListener("click", () => play(map));
    at("map-lasso").addEventListener("click", () => use(map, "lasso"));
    at("map-pan").addEventListener("click", () => use(map, "pan"));
    at("map-whole").addEventListener("click", () => map.plot && map.plot.whole());
    at("map-clear").addEventListener("click", () => { select(map, []); draw(map); });
    at("map-find").addEventListener("click", () => find(map));
    at("map-ask").addEventListener("click", () => askFirst(map));
    at("map-label").addEventListener("click", () => labelThese(map));
    at("map-only").addEventListener("input", () => draw(map));
    use(map, map.tool);
  }

  function use(map, tool) {
    map.tool = tool;
    at("map-lasso").setAttribute("aria-pressed", String(tool === "lasso"));
    at("map-pan").setAttribute("aria-pressed", String(tool === "pan"));
    if (map.plot) map.plot.use(tool);
  }

  // --- versions ------------------------------------------------------------------------------------------------

  async function load(map, index) {
    const version = map.meta.versions[index];
    if (!map.maps.has(version.name)) {
      const answer = fetch(map.meta.api + "/map/" + encodeURIComponent(version.name)).then(async function (response) {
        const content = await response.json();
        if (!response.ok) throw new Error(content.error || "The map cannot be loaded.");
        content.place = new Map(content.task_ids.map((task, i) => [task, i]));
        content.x.push(...content.rows.x); // after the tasks: rows are drawn, and nothing else is known of them
        content.y.push(...content.rows.y);
        return content;
      });
      map.maps.set(version.name, answer);
      answer.catch(() => map.maps.delete(version.name));
    }
    return map.maps.get(version.name);
  }

  async function goTo(map, index) {
    map.index = index;
    const version = map.meta.versions[index];
    const told = "Version " + version.number + ": " + many(version.labels, "label")
      + (version.accuracy === null ? "" : ", accuracy " + (100 * version.accuracy).toFixed(1) + "%");
    at("map-version").textContent = told;
    at("map-slider").setAttribute("aria-valuetext", told);
    let data;
    try {
      data = await load(map, index);
    } catch (error) {
      at("map-caption").textContent = error.message;
      return;
    }
    if (now !== map || map.index !== index || !map.frame.isConnected) return;
    const before = map.data;
    map.data = data;
    caption(map);
    select(map, map.selected);
    draw(map, before && before !== data && !still() ? before : null);
    for (const near of [index - 1, index + 1]) {
      if (map.meta.versions[near]) load(map, near).catch(() => null);
    }
  }

  function play(map) {
    const stop = () => {
      window.clearInterval(map.playing);
      map.playing = 0;
      if (at("map-play")) at("map-play").textContent = "Play";
    };
    if (map.playing) return stop();
    const last = map.meta.versions.length - 1;
    const step = (index) => {
      at("map-slider").value = index;
      goTo(map, index);
    };
    at("map-play").textContent = "Stop";
    step(map.index < last ? map.index + 1 : 0);
    map.playing = window.setInterval(function () {
      if (now !== map || !map.frame.isConnected || map.index >= last) stop();
      else step(map.index + 1);
    }, PLAY);
  }

  // --- drawing -------------------------------------------------------------------------------------------------

  /** Groups of points that are drawn alike, lowest first: {name, rows, color, shape, size}. */
  function groups(map) {
    const data = map.data;
    if (map.colour === "uncertainty") return byUncertainty(data);
    if (map.colour === "state") {
      const found = STATES.map((state) => ({ ...state, rows: [] }));
      data.state.forEach((state, i) => found[state].rows.push(i));
      return ORDER.map((number) => found[number]);
    }
    const values = map.colour === "label" ? data.label : data.guess;
    const none = map.colour === "label" ? "no label yet" : "control: guess not shown";
    const found = [{ name: none, rows: [], color: QUIET, shape: 0, size: 4 }];
    data.classes.forEach(function (name, number) {
      const shape = (number + Math.floor(number / COLOURS.length)) % SHAPES;
      found.push({ name: name, rows: [], color: COLOURS[number % COLOURS.length], shape: shape, size: 8 });
    });
    values.forEach((value, i) => found[value + 1].rows.push(i));
    return found;
  }

  /** By six steps of colour and size, the certain below. */
  function byUncertainty(data) {
    const top = data.uncertainty.reduce((high, value) => Math.max(high, value || 0), 0.05);
    const found = CIVIDIS.map((color, step) => ({
      name: (top * step / 6).toFixed(2) + " to " + (top * (step + 1) / 6).toFixed(2), rows: [], color: color, shape: 0,
      size: 5 + 1.2 * step,
    }));
    const unknown = { name: "control: not shown", rows: [], color: QUIET, shape: 8, size: 7 };
    data.uncertainty.forEach(function (value, i) {
      (value === null ? unknown : found[Math.min(5, Math.floor(6 * value / top))]).rows.push(i);
    });
    return [unknown, ...found];
  }

  /** What the fields let through, as a test of rows; null where they ask for nothing. */
  function only(map) {
    const asked = window.filters.read(at("map-only")), data = map.data;
    const names = Object.keys(asked), number = (name) => data.classes.indexOf(asked[name]);
    if (!names.length) return null;
    const least = Number(asked.least || 0) / 100, most = Number(asked.most || 100) / 100;
    return (i) => (!asked.state || data.state[i] === Number(asked.state))
      && (!asked.label || data.label[i] === number("label")) && (!asked.guess || data.guess[i] === number("guess"))
      && ((!asked.least && !asked.most) || (data.guess[i] >= 0 && data.confidence[i] >= least && data.confidence[i] <= most));
  }

  /** The groups that there are to show, each with the rows that the fields let through. */
  function filtered(map) {
    const passes = only(map), all = groups(map);
    const found = passes ? all.map((group) => ({ ...group, rows: group.rows.filter(passes) })) : all;
    const count = found.reduce((sum, group) => sum + group.rows.length, 0);
    at("map-only-told").textContent = "Show only some" + (passes ? " (" + many(count, "task") + " shown)" : "");
    return [ofPool(map.data), ...found].filter((group) => group.rows.length);
  }

  /** Rows of a pool outside Label Studio that are no tasks: below all else, and nothing that can be chosen. */
  function ofPool(data) {
    const rows = data.rows.x.map((_, i) => data.task_ids.length + i);
    return { name: "rows of the pool, a sample", rows: rows, color: QUIET, shape: 0, size: 3, inert: true };
  }

  function draw(map, before) {
    if (!map.data) return;
    const shown = filtered(map);
    legend(map, shown);
    if (!map.plot) return;
    const data = map.data;
    let from = null;
    if (before) {
      from = { x: data.x.slice(), y: data.y.slice() };
      data.task_ids.forEach(function (task, i) {
        const was = before.place.get(task);
        if (was !== undefined) { from.x[i] = before.x[was]; from.y[i] = before.y[was]; }
      });
    }
    map.plot.show(data, shown.filter((group) => !map.hidden.has(group.name)), chosenIn(map), from);
  }

  function chosenIn(map) {
    return map.selected.size ? Uint8Array.from(map.data.task_ids, (task) => (map.selected.has(task) ? 1 : 0)) : null;
  }

  /** Names, shapes and colours; each hides and shows its points. */
  function legend(map, shown) {
    const list = at("map-legend");
    const rank = map.colour === "label" || map.colour === "guess" ? shown : shown.slice().reverse();
    list.replaceChildren(...rank.map(function (group) {
      const entry = document.createElement("li"), button = document.createElement("button");
      const count = document.createElement("span");
      button.type = "button";
      button.setAttribute("aria-pressed", String(!map.hidden.has(group.name)));
      count.className = "quiet";
      count.textContent = group.rows.length.toLocaleString("en");
      button.append(window.points.swatch(group.shape, group.color), document.createTextNode(group.name), count);
      button.addEventListener("click", function () {
        if (!map.hidden.delete(group.name)) map.hidden.add(group.name);
        button.setAttribute("aria-pressed", String(!map.hidden.has(group.name)));
        const all = filtered(map).filter((each) => !map.hidden.has(each.name));
        if (map.plot) map.plot.show(map.data, all, chosenIn(map), null);
      });
      entry.append(button);
      return entry;
    }));
  }

  function caption(map) {
    const data = map.data, counts = STATES.map((_, number) => data.state.filter((state) => state === number).length);
    const all = data.task_ids.length === data.pool ? "All " + many(data.pool, "task")
      : data.task_ids.length.toLocaleString("en") + " of " + many(data.pool, "task");
    const parts = STATES.map((state, number) => counts[number].toLocaleString("en") + " " + state.name);
    const rows = data.rows.x.length ? " Beside them " + many(data.rows.x.length, "row") + " of the pool outside, a sample." : "";
    const text = all + ": " + parts.join(", ") + "." + rows;
    if (map.plot) {
      at("map-caption").textContent = text + (touch() ? "" : " A click opens a task in Label Studio.");
    }
    at("map-over").setAttribute("aria-label", "Map of the tasks. " + at("map-version").textContent + ". " + text);
  }

  // --- one task ------------------------------------------------------------------------------------------------

  function factsOf(map, i) {
    const data = map.data, lines = ["Task " + data.task_ids[i] + ", " + STATES[data.state[i]].name];
    if (data.label[i] >= 0) lines.push("Label: " + data.classes[data.label[i]]);
    if (data.guess[i] >= 0) {
      lines.push("Guess: " + data.classes[data.guess[i]] + ", " + Math.round(100 * data.confidence[i]) + "%");
      lines.push("Uncertainty: " + data.uncertainty[i].toFixed(2));
    } else {
      lines.push("Control task: no guess is shown");
    }
    return lines;
  }

  async function itemsOf(map, taskIds) {
    const missing = taskIds.filter((task) => !map.items.has(task));
    if (missing.length) {
      const answer = fetch(map.meta.api + "/items?ids=" + missing.join(",")).then((response) => response.json());
      missing.forEach((task) => map.items.set(task, answer.then((content) => (content.items || {})[task] || null)));
    }
    return Promise.all(taskIds.map((task) => map.items.get(task)));
  }

  /** What people see of a task: always as text or an image of ours, never as HTML. */
  function shown(map, task, item) {
    if (map.meta.kind === "Image") {
      const image = document.createElement("img");
      image.src = map.meta.media + task;
      image.alt = "Image of task " + task;
      return image;
    }
    const quote = document.createElement("blockquote");
    quote.textContent = item ? item.text : "Not read on this machine.";
    return quote;
  }

  async function showTip(map, i, mouse) {
    const task = map.data.task_ids[i], tip = at("map-tip");
    if (!tip || map.tip === task) return;
    map.tip = task;
    const images = map.meta.kind === "Image", content = shown(map, task, null);
    if (!images) content.textContent = "…"; // the text comes in a moment
    tip.replaceChildren(content);
    for (const line of factsOf(map, i)) {
      const row = document.createElement("div");
      row.textContent = line;
      tip.append(row);
    }
    if (touch()) {
      const link = document.createElement("a");
      link.href = map.meta.task_link + task;
      link.target = "_blank";
      link.rel = "noopener noreferrer";
      link.textContent = "Open in Label Studio";
      tip.append(link);
    }
    tip.dataset.task = task;
    tip.hidden = false;
    beside(tip, mouse);
    if (images) return;
    const item = (await itemsOf(map, [task]))[0];
    if (map.tip !== task) return;
    content.replaceWith(shown(map, task, item));
    beside(tip, mouse);
  }

  /** Put a tip beside the mouse, inside the window. */
  function beside(tip, mouse) {
    const box = tip.getBoundingClientRect(), gap = 14;
    const right = mouse.clientX + gap + box.width < window.innerWidth;
    const left = right ? mouse.clientX + gap : Math.max(4, mouse.clientX - gap - box.width);
    tip.style.left = left + "px";
    tip.style.top = Math.max(4, Math.min(mouse.clientY + gap, window.innerHeight - box.height - 4)) + "px";
  }

  function hideTip(map, tapped = false) {
    if (touch() && !tapped) return;
    map.tip = -1;
    if (at("map-tip")) at("map-tip").hidden = true;
  }

  function openTask(map, i, mouse) {
    if (i === null) return hideTip(map, true);
    if (touch()) return showTip(map, i, mouse);
    window.open(map.meta.task_link + map.data.task_ids[i], "_blank", "noopener");
  }

  // --- selection -----------------------------------------------------------------------------------------------

  /** Open tasks of the selection, the most uncertain first. */
  function wanted(map) {
    const data = map.data, score = (i) => (data.uncertainty[i] === null ? -1 : data.uncertainty[i]);
    const rows = [...map.selected].map((task) => data.place.get(task)).filter((i) => i !== undefined && data.state[i] < 2);
    return rows.sort((a, b) => score(b) - score(a)).map((i) => data.task_ids[i]);
  }

  async function select(map, taskIds) {
    map.selected = new Set(taskIds);
    const count = map.selected.size, first = map.data ? wanted(map) : [];
    at("map-count-told").textContent = !count ? "Draw around points to select them."
      : many(count, "task") + " selected" + (first.length < count ? ", " + first.length + " of them open" : "") + ".";
    at("map-ask").disabled = !first.length;
    at("map-label").disabled = at("map-clear").disabled = !count;
    const list = at("map-list"), head = first.slice(0, SHOWN), mine = (map.listing = {});
    const items = map.meta.kind === "Image" ? [] : await itemsOf(map, head);
    if (map.listing !== mine || !list.isConnected) return;
    list.replaceChildren(...head.map(function (task, position) {
      const entry = document.createElement("li"), link = document.createElement("a"), facts = document.createElement("div");
      entry.className = "task";
      link.href = map.meta.task_link + task;
      link.target = "_blank";
      link.rel = "noopener noreferrer";
      const [name, ...rest] = factsOf(map, map.data.place.get(task));
      link.textContent = name;
      facts.className = "quiet";
      facts.textContent = rest.join(" · ");
      entry.append(shown(map, task, items[position]), link, facts);
      return entry;
    }));
    if (first.length > SHOWN) {
      const more = document.createElement("li");
      more.className = "quiet";
      more.textContent = "… and " + (first.length - SHOWN) + " more";
      list.append(more);
    }
  }

  function find(map) {
    const data = map.data, near = Number(at("map-near").value), chosen = at("map-class").value;
    const count = Math.max(1, Math.min(1000, Number(at("map-count").value) || 1));
    const origin = near ? data.place.get(near) : undefined;
    const problem = at("map-near-problem");
    problem.textContent = near && origin === undefined ? "Task " + near + " is not on this map." : "";
    if (problem.textContent) return;
    const rows = [], passes = only(map) || (() => true);
    for (let i = 0; i < data.task_ids.length; i++) {
      if (passes(i) && data.state[i] < 2 && (chosen === "" || data.guess[i] === Number(chosen))) rows.push(i);
    }
    const gap = (i) => (data.x[i] - data.x[origin]) ** 2 + (data.y[i] - data.y[origin]) ** 2;
    const score = (i) => (data.uncertainty[i] === null ? 1 : -data.uncertainty[i]);
    const value = origin === undefined ? score : gap;
    rows.sort((a, b) => value(a) - value(b));
    select(map, rows.slice(0, count).map((i) => data.task_ids[i]));
    draw(map);
  }

  async function askFirst(map) {
    const button = at("map-ask"), told = at("map-answer");
    button.disabled = true;
    const found = await window.overrides.send(map.meta.api, "boost", wanted(map));
    told.textContent = found.text;
    told.className = "notice " + (found.ok ? "good" : "error");
    if (found.ok) {
      window.overrides.renewWhenDone();
    } else {
      button.disabled = false;
    }
  }

  /** On the search page, where many tasks get one label. */
  function labelThese(map) {
    window.dash_clientside.search.choose(map.meta.project, [...map.selected]);
    window.dash_clientside.set_props("url", { pathname: map.meta.search, search: "" });
  }

  /** Where a task is on the screen, for tests; null where it is not on the map. */
  window.dash_clientside.pool_map.where = function (task) {
    const i = now && now.data && now.plot ? now.data.place.get(task) : undefined;
    return i === undefined ? null : now.plot.where(i);
  };
})();
