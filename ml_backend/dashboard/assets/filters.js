/* A button with data-filters puts what the fields of that form ask for into the address: the page then shows only that.
   An empty name asks for everything. */
(function () {
  "use strict";

  /** What the fields of a form ask for, by their names. */
  function read(form) {
    const found = {};
    form.querySelectorAll("input[id], select[data-asks]").forEach(function (each) {
      const value = each.value.trim();
      if (value) found[each.dataset.asks || each.id.split("-").pop()] = value;
    });
    return found;
  }

  function go(asked) {
    const query = new URLSearchParams(asked).toString();
    window.dash_clientside.set_props("url", { search: query ? "?" + query : "" });
  }

  document.addEventListener("click", function (event) {
    const button = event.target.closest("button[data-filters]");
    if (!button) return;
    const form = document.getElementById(button.dataset.filters);
    go(form ? read(form) : {});
  });
  document.addEventListener("keydown", function (event) {
    if (event.key !== "Enter" || !event.target.closest("input, select")) return;
    const button = event.target.closest("details") && event.target.closest("details").querySelector("button[data-filters]");
    if (button) button.click();
  });

  window.filters = { read: read, go: go };
})();
