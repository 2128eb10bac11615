// Dash's own dropdown hides a focusable field from screen readers (axe: aria-hidden-focus), and does not open on a
// phone as people know it. A native select needs only this to tell Dash its value: see parts.select. One with data-fills
// writes it into the box of a setting instead, where people can also type.
document.addEventListener("change", (event) => {
  const chosen = event.target.closest("select[data-store], select[data-fills]");
  if (chosen && chosen.dataset.store) {
    window.dash_clientside.set_props(chosen.dataset.store, { data: chosen.value });
  } else if (chosen) {
    window.dash_clientside.set_props({ type: "setting", name: chosen.dataset.fills }, { value: chosen.value });
  }
});

// A long menu is a box with suggestions: see parts.searched.
document.addEventListener("input", (event) => {
  const box = event.target;
  const field = box.closest("[data-search]");
  if (!field) return;
  const known = !box.value || Array.from(box.list.options).some((option) => option.value === box.value);
  box.setAttribute("aria-invalid", String(!known));
  if (known) window.dash_clientside.set_props(field.dataset.search, { data: box.value || box.placeholder });
});
