/* Overrides of the order: buttons with data-override and data-task send them, inside an element with data-api. */
(function () {
  "use strict";

  let renewing = 0;

  /** Send an override; the words to show. */
  async function send(api, action, taskIds) {
    try {
      const answer = await fetch(api + "/wishes", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ action: action, task_ids: taskIds }),
      });
      const content = await answer.json().catch(() => ({}));
      return { ok: answer.ok, text: content.message || content.error || "The backend does not answer as it should." };
    } catch (error) {
      return { ok: false, text: "The backend does not answer; is it running?" };
    }
  }

  /** Show the results of the round that an override started, without another click: the person waits for it. */
  function renewWhenDone() {
    window.clearInterval(renewing);
    const until = Date.now() + 10 * 60 * 1000;
    const page = window.location.href;
    renewing = window.setInterval(function () {
      const news = document.getElementById("news");
      if (window.location.href !== page || Date.now() > until) {
        window.clearInterval(renewing);
      } else if (news && !news.hidden) {
        window.clearInterval(renewing);
        document.getElementById("renew").click();
      }
    }, 400);
  }

  document.addEventListener("click", async function (event) {
    const button = event.target.closest("[data-override]");
    const part = button && button.closest("[data-api]");
    if (!part) return;
    const buttons = button.closest("li").querySelectorAll("button");
    buttons.forEach((each) => (each.disabled = true));
    const found = await send(part.dataset.api, button.dataset.override, [Number(button.dataset.task)]);
    const told = document.getElementById("override-answer");
    if (told) {
      told.textContent = found.text;
      told.className = "notice " + (found.ok ? "good" : "error");
    }
    if (found.ok) {
      button.textContent = "✓ " + button.textContent;
      renewWhenDone();
    } else {
      buttons.forEach((each) => (each.disabled = false));
    }
  });

  window.overrides = { send: send, renewWhenDone: renewWhenDone };
})();
