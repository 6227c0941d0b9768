// The tasks that this handheld knows, and how they look with what still waits to be sent.

import { encode } from "./codes.js";
import { call, currentSession } from "./session.js";
import { changed, put, read, remove, row, rows, write } from "./store.js";

const OPEN = "assigned,in_progress,paused";
const MOST = 100;
// verb -> the state that it leads to; where it may come from is what `MOVES` says.
const LEADS_TO = { claim: "assigned", release: "pending", start: "in_progress", resume: "in_progress", pause: "paused", complete: "completed" };
const MOVES = {
  pending: ["claim", "start"],
  assigned: ["start", "undo", "release"],
  in_progress: ["report", "pause", "complete", "undo"],
  paused: ["resume", "undo"],
  completed: ["undo"],
};
const OURS = ["claim", "start", "resume", "report", "pause", "complete", "undo", "release"];

// Ask the server for my tasks and the claimable ones. Says whether it answered.
export async function refreshTasks() {
  const session = currentSession();
  if (!session?.token) return false;
  const [mine, queue] = await Promise.all([
    call(`tasks/?assigned_operator=me&status=${OPEN}&page_size=${MOST}&ordering=due_date`),
    call(`tasks/?claimable=1&page_size=${MOST}&ordering=-priority,due_date`),
  ]);
  if (!mine.ok || !queue.ok || currentSession()?.user.id !== session.user.id) return false;
  for (const task of [...mine.body.results, ...queue.body.results]) await putRow(task);
  const ids = (answer) => answer.body.results.map((task) => task.id);
  await write("lists", { user: session.user.id, mine: ids(mine), queue: ids(queue), at: Date.now() });
  await forgetOthers(new Set([...ids(mine), ...ids(queue)]));
  changed("tasks");
  return true;
}

// A row of a list says less than the task's own answer: what that has told stays, until the task has moved on or is looked at again.
async function putRow(task) {
  const known = await row("tasks", task.id);
  await put("tasks", { seen_at: known?.seen_at, missing: known?.missing, order_tools: known?.order_tools, ...task, events: known?.version === task.version ? known.events : undefined });
}

// What is on no list and has nothing waiting is not kept, but for what was looked at in the last shift.
async function forgetOthers(listed) {
  const waiting = new Set((await rows("items")).map((item) => item.task_id));
  for (const task of await rows("tasks")) {
    if (!listed.has(task.id) && !waiting.has(task.id) && !(Date.now() - task.seen_at < 12 * 3_600_000)) await remove("tasks", task.id);
  }
}

// Bring what an answer says of a task (a part of its row) to what is kept.
export async function learn(part) {
  if (!part) return;
  const known = await row("tasks", part.id);
  const { process, ...values } = { events: undefined, ...part };
  const named = typeof process === "string" ? { name: process } : process;
  await put("tasks", { ...known, ...values, process: named ?? known?.process, seen_at: Date.now() });
}

export async function fetchTask(id) {
  if (!currentSession()?.token) return null;
  const answer = await call(`tasks/${id}/`, { patience: 4000 });
  if (!answer.ok) return null;
  await put("tasks", { ...answer.body, seen_at: Date.now() });
  return answer.body;
}

export async function tasksOfOrder(order) {
  const answer = currentSession()?.token ? await call(`tasks/?workorder=${order}&page_size=${MOST}`, { patience: 4000 }) : { ok: false };
  if (answer.ok) for (const task of answer.body.results) await putRow({ ...task, seen_at: Date.now() });
  return (await rows("tasks")).filter((task) => task.workorder === order);
}

export const codeOf = (id) => encode("T", id);

// The task as it will be when what waits is counted. `waiting` {good, scrap, count} is what the server has not seen.
export function withWaiting(task, items) {
  const waiting = { good: 0, scrap: 0, count: 0 };
  let { status } = task;
  const steps = [];
  for (const item of items.filter((one) => one.task_id === task.id && one.state === "waiting")) {
    waiting.count += 1;
    if (item.verb === "undo") {
      const last = steps.pop();
      if (last) [status, waiting.good, waiting.scrap] = last;
      continue;
    }
    steps.push([status, waiting.good, waiting.scrap]);
    status = LEADS_TO[item.verb] ?? status;
    waiting.good += item.quantity;
    waiting.scrap += item.scrap;
  }
  const known = Number.isInteger(task.planned);
  const good = (task.good ?? 0) + waiting.good;
  return {
    ...task,
    status,
    waiting,
    good,
    scrap: (task.scrap ?? 0) + waiting.scrap,
    left: known ? Math.max(0, task.planned - good) : null,
    raw_moves: task.moves,
    moves: waiting.count || !task.moves ? (MOVES[status] ?? OURS) : task.moves.filter((verb) => OURS.includes(verb)),
  };
}

// {mine, queue, at} as views, for the person that they were fetched for.
export async function listedTasks(items) {
  const [lists, known] = await Promise.all([read("lists"), rows("tasks")]);
  const { user } = currentSession() ?? {};
  if (!lists || lists.user !== user?.id) return { mine: [], queue: [], at: 0 };
  const byId = new Map(known.map((task) => [task.id, task]));
  const views = (ids) => ids.filter((id) => byId.has(id)).map((id) => withWaiting(byId.get(id), items));
  const queue = views(lists.queue).filter((task) => task.status === "pending");
  const begun = views(lists.queue).filter((task) => task.status !== "pending");
  const mine = [...begun, ...views(lists.mine)];
  const rank = { in_progress: 0, paused: 1, assigned: 2, completed: 3 };
  mine.sort((one, other) => (rank[one.status] ?? 4) - (rank[other.status] ?? 4));
  return { mine, queue, at: lists.at };
}

// Another person may see other tasks: what the one before saw is not kept for him.
export async function forgetTasksOfOthers(user) {
  const lists = await read("lists");
  if (lists?.user === user) return;
  for (const task of await rows("tasks")) await remove("tasks", task.id);
  await write("lists", undefined);
}

// Whether anything that this person sees has changed since the last look; if so the lists are read again.
export async function watchChanges() {
  const session = currentSession();
  if (!session?.token) return;
  const since = await read("cursor");
  const cursor = since?.user === session.user.id ? since.cursor : "";
  const answer = await call(`changes/${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`);
  if (answer.ok) await write("cursor", { user: session.user.id, cursor: answer.body.cursor });
  if (answer.status === 410) await write("cursor", undefined);
  if (!cursor || answer.status === 410 || answer.body.changed?.length || answer.body.gone?.length) await refreshTasks();
}
