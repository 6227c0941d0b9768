// What the handheld keeps, in IndexedDB: `meta` (tokens, settings, lists), `items` (scans and what became of them), `tasks`.

const NAME = "docket-floor";
let opened = null;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("meta");
      request.result.createObjectStore("items", { keyPath: "client_event_id" });
      request.result.createObjectStore("tasks", { keyPath: "id" });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

// One transaction over `stores`: `work(get)` calls get("items") for a store and keeps to requests, and its result is what the last one answers.
export async function transact(stores, work) {
  const database = await open();
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(stores, "readwrite", { durability: "strict" });
    const outcome = {};
    transaction.oncomplete = () => resolve(outcome.value);
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
    work((name) => transaction.objectStore(name), (value) => (outcome.value = value));
  });
}

const ask = (store, question) => transact([store], (get, answer) => (question(get(store)).onsuccess = (event) => answer(event.target.result)));

export const read = (key) => ask("meta", (store) => store.get(key));
export const write = (key, value) => ask("meta", (store) => (value === undefined ? store.delete(key) : store.put(value, key)));
export const rows = (store) => ask(store, (one) => one.getAll());
export const row = (store, key) => ask(store, (one) => one.get(key));
export const put = (store, value) => ask(store, (one) => one.put(value));
export const remove = (store, key) => ask(store, (one) => one.delete(key));

// Change rows in one transaction, each from what it is at that moment: `change(row)` returns the new row.
export function change(store, keys, alter) {
  return transact([store], (get) => {
    for (const key of keys) {
      const request = get(store).get(key);
      request.onsuccess = () => request.result && get(store).put(alter(request.result));
    }
  });
}

// Other tabs of this page hear of a change too: `listener(what, isElsewhere)`.
const channel = new BroadcastChannel(NAME);
const heard = new Set();

export function onChange(listener) {
  heard.add(listener);
}

export function changed(what) {
  for (const listener of heard) listener(what);
  channel.postMessage(what);
}

channel.onmessage = (event) => {
  for (const listener of heard) listener(event.data, true);
};
