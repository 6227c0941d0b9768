// Keeps the page for days without a network. SHELL {version, files}, written above by the server, changes with any of the files;
// each version has a store of its own, filled before it is used, so that files of two versions never meet.

const PREFIX = "docket-floor-";
const STORE = PREFIX + SHELL.version;
const PAGES = "/floor/";

self.addEventListener("install", (event) => {
  const fresh = SHELL.files.map((file) => new Request(file, { cache: "reload" }));
  event.waitUntil(caches.open(STORE).then((store) => store.addAll(fresh)).then(() => self.skipWaiting()));
});

async function forgetOld() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== STORE).map((name) => caches.delete(name)));
  await self.clients.claim();
}

self.addEventListener("activate", (event) => event.waitUntil(forgetOld()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  const isOurs = origin === location.origin && (SHELL.files.includes(pathname) || (request.mode === "navigate" && pathname === PAGES));
  if (request.method !== "GET" || !isOurs) return;
  event.respondWith(kept(request, pathname));
});

// Only this version's store: a page of yesterday with a script of today would be neither.
async function kept(request, pathname) {
  const store = await caches.open(STORE);
  return (await store.match(pathname, { ignoreVary: true })) ?? fetch(request);
}
