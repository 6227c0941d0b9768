// A page that has a field to begin with begins there. The browser's own autofocus is lost now and then, where the page is not yet
// drawn when it looks; who scans or types at once would then type into nothing.
window.addEventListener("load", () => {
  if (document.activeElement === document.body) document.querySelector("[autofocus]")?.focus();
});
