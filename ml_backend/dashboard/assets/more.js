/* A button with data-more opens and closes the element of that id: on a phone, what does not fit a card. */
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-more]");
  const shown = button && document.getElementById(button.dataset.more);
  if (!shown) return;
  button.setAttribute("aria-expanded", String(shown.classList.toggle("open")));
});
