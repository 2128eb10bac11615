// A page that was opened as http://user:password@host/ has an address that the browser's own fetch refuses: it would
// stay at "Loading...". The browser knows the password by now, so the same page is opened without it.
if (new URL(document.baseURI).username) {
  const { origin, pathname, search, hash } = window.location;
  window.location.replace(origin + pathname + search + hash);
}
