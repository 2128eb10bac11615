/* A click in the menu is seen at once; the page follows when the server has made it. */
(function () {
  "use strict";

  document.addEventListener("click", function (event) {
    const link = event.target.closest("#masthead nav a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    document.querySelectorAll("#masthead nav .going").forEach((each) => each.classList.remove("going"));
    link.classList.add("going");
  }, true);
})();
