// Dash's own dropdown hides a focusable field from screen readers (axe: aria-hidden-focus), and does not open on a
// phone as people know it. A native select needs only this to tell Dash its value: see parts.select.
document.addEventListener("change", (event) => {
  const chosen = event.target.closest("select[data-store]");
  if (chosen) {
    window.dash_clientside.set_props(chosen.dataset.store, { data: chosen.value });
  }
});
