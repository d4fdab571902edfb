/* The desk page: draws the panel that the server streams, and says what the clerk decides.

   The server is right about everything; this page keeps only what the clerk is doing now: which card is chosen, whether a
   reason is being asked, and answers not yet confirmed. An answer is repeated until the server has said yes or too late,
   which is safe because the server counts it once. All text enters as text. */

import { attend, call } from "/desk/static/attention.js";

const GUARD_MS = 600;          // after a customer changed, keys answer nothing for this long
const CLOSED_MS = 4000;        // how long a finished visit stays on the screen
const RETRY_MS = 1200;         // between repetitions of an answer
const IDLE_WARNING_MS = 30000;
const LAST_MINUTE_MS = 60000;
const NOTICE_MS = 5000;
const SURE_MS = 5000;

const REASONS = [
  ["has_it", "已有"], ["too_dear", "嫌贵"], ["no_need", "不需要"], ["another_time", "稍后"], ["left", "客户已走"],
];
const OUTCOMES = {
  accepted: "已办理", declined: "已拒绝", later: "稍后再说", expired: "已过期", withdrawn: "已撤回",
};
const CAUSES = {
  idle: "长时间没有操作，接待已自动结束。", moved: "客户已到其他柜台，推荐随之转移。", next: "已开始接待下一位客户。",
};

const byId = (id) => document.getElementById(id);
const terminal = decodeURIComponent(location.pathname.split("/").pop());

let panel = null;              // what the server said last
let drawnVisit = "";
let chosen = "";               // id of the chosen card
let asking = "";               // id of the card whose decline reason is being asked
let keysFrom = 0;              // performance.now() from which keys answer
let closedUntil = 0;
let hello = { heartbeat_ms: 15000, clerk_opens: false };
const unsent = new Map();      // card id -> {answer, note}, not yet confirmed
const cards = new Map();       // card id -> its element and what it shows
const deadlines = new Map();   // card id -> performance.now() at which it expires
let idleAt = Infinity;

/* Small helpers */

function make(tag, name, ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...children);
  return element;
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function button(name, text, key, label, press) {
  const element = make("button", `button ${name}`, text);
  element.type = "button";
  element.setAttribute("aria-label", label);
  if (key) {
    const hint = make("kbd", "", key);
    hint.setAttribute("aria-hidden", "true");
    element.append(hint);
    element.setAttribute("aria-keyshortcuts", key);
  }
  element.addEventListener("click", (event) => { event.stopPropagation(); press(); });
  return element;
}

function speak(text) { byId("spoken").textContent = text; }

let noticeTimer = 0;
function notify(text) {
  const notice = byId("notice");
  say(notice, text);
  notice.hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => { notice.hidden = true; }, NOTICE_MS);
}

async function ask(method, path, body) {
  const init = { method, cache: "no-store", credentials: "same-origin" };
  if (body !== undefined) {
    init.headers = { "Content-Type": "application/json" };
    init.body = JSON.stringify(body);
  }
  const reply = await fetch(path, init);
  const json = (reply.headers.get("Content-Type") || "").startsWith("application/json") ? await reply.json() : {};
  return { status: reply.status, json };
}

/* Scenes */

function show(scene) {
  if (document.body.dataset.state === scene) return;
  document.body.dataset.state = scene;
  for (const name of ["start", "locked", "empty", "visit", "closed"]) byId(name).hidden = name !== scene;
  if (scene === "empty" && hello.clerk_opens) byId("number").focus({ preventScroll: true });
}

function draw() {
  if (panel === null) return;
  const state = panel.state === "closed" && performance.now() >= closedUntil ? "empty" : panel.state;
  if (state === "open") drawVisit();
  else { drawnVisit = ""; chosen = asking = ""; }
  if (state === "closed") drawClosed();
  byId("number-form").hidden = !hello.clerk_opens;
  show(state === "open" ? "visit" : state);
  drawIdle();
}

function drawVisit() {
  if (panel.visit !== drawnVisit) {
    drawnVisit = panel.visit;
    chosen = asking = "";
    keysFrom = performance.now() + GUARD_MS;
    for (const view of cards.values()) view.element.remove();
    cards.clear();
    sureUntil = endingUntil = 0;
    speak(`正在接待 ${panel.number}`);
    call("新的接待");
  }
  say(byId("customer-number"), panel.number);
  const facts = [panel.brand, panel.tenure, panel.handset].filter(Boolean);
  if (byId("customer-facts").dataset.facts !== facts.join("\n")) {
    byId("customer-facts").dataset.facts = facts.join("\n");
    byId("customer-facts").replaceChildren(...facts.map((fact) => make("span", "", fact)));
  }
  byId("no-cards").hidden = panel.cards.length > 0;
  byId("keys").hidden = !panel.cards.some(isLive);
  const slots = panel.cards.map((card) => card.slot).join("");
  if (byId("key-choose").dataset.slots !== slots) {
    byId("key-choose").dataset.slots = slots;
    byId("key-choose").replaceChildren(...[...slots].map((slot) => make("kbd", "", slot)), " 选择");
  }
  byId("keys").classList.toggle("still", Boolean(asking));
  drawOptOut();
  drawEnding();
  drawCards();
}

function drawClosed() {
  const count = (state) => panel.cards.filter((card) => card.state === state).length;
  const sums = [["accepted", "办理"], ["declined", "拒绝"], ["later", "稍后"]]
    .map(([state, word]) => [count(state), word]).filter(([number]) => number > 0)
    .map(([number, word]) => `${word} ${number} 项`);
  say(byId("closed-title"), panel.cause === "moved" ? "客户已离开本柜台" : "接待结束");
  say(byId("closed-text"), CAUSES[panel.cause] || sums.join("，") || "辛苦了。");
}

/* Cards */

const isLive = (card) => card.state === "live" && !unsent.has(card.id) && !hasRunOut(card.id);
const hasRunOut = (id) => performance.now() >= (deadlines.get(id) ?? Infinity);
const cardById = (id) => panel.cards.find((card) => card.id === id);
const liveCards = () => (panel && panel.state === "open" ? panel.cards.filter(isLive) : []);

function drawCards() {
  const present = new Set(panel.cards.map((card) => card.id));
  for (const [id, view] of cards) {
    if (!present.has(id)) { view.element.remove(); cards.delete(id); }
  }
  if (!liveCards().some((card) => card.id === chosen)) chosen = liveCards()[0]?.id ?? "";
  if (asking !== chosen) asking = "";
  panel.cards.forEach((card, place) => {
    let view = cards.get(card.id);
    if (!view) {
      view = makeCard(card);
      cards.set(card.id, view);
      speak(`新推荐 ${card.slot}：${card.title}。${card.reason}`);
      call("新的推荐");
    }
    const list = byId("cards");
    if (list.children[place] !== view.element) list.insertBefore(view.element, list.children[place] ?? null);
    fillCard(view, card);
  });
}

function makeCard(card) {
  const view = {
    slot: make("button", "slot"), left: make("span", "left"), title: make("h2", "title"), price: make("p", "price"),
    reason: make("p", "reason"), scriptName: make("span", "script-name", "话术"), script: make("p", "script"),
    outcome: make("p", "outcome"),
  };
  view.slot.type = "button";
  view.actions = make("div", "actions",
    button("primary", "办理", "Y", `办理：${card.title}`, () => answer(card.id, "accept")),
    button("", "拒绝", "N", `拒绝：${card.title}`, () => askWhy(card.id)),
    button("", "稍后", "L", `稍后：${card.title}`, () => answer(card.id, "later")));
  const reasons = REASONS.map(([code, word], place) =>
    button("", word, String(place + 1), `原因：${word}`, () => decline(card.id, code)));
  view.why = make("div", "why",
    make("div", "why-name", "客户为什么不要？", button("quiet", "返回", "Esc", "返回", () => askWhy(""))),
    make("div", "reasons", ...reasons));
  view.why.tabIndex = -1;
  view.why.setAttribute("role", "group");
  view.why.setAttribute("aria-label", "客户为什么不要？按 1 到 5 选择，Esc 返回");
  const foot = make("div", "foot", view.actions, view.why, view.outcome);
  view.element = make("li", "card arriving",
    make("div", "card-head", view.slot, view.title, view.price), view.reason,
    make("div", "meta", view.scriptName, view.left), view.script, foot);
  view.element.addEventListener("click", () => choose(card.id));
  view.element.addEventListener("animationend", () => view.element.classList.remove("arriving"));
  return view;
}

function fillCard(view, card) {
  say(view.slot, String(card.slot));
  say(view.title, card.title);
  say(view.price, card.price);
  say(view.reason, card.reason);
  say(view.script, card.script);
  view.price.hidden = !card.price;
  view.script.hidden = view.scriptName.hidden = !card.script;
  view.slot.disabled = !isLive(card);
  view.slot.setAttribute("aria-label", `选择第 ${card.slot} 项：${card.title}`);
  view.slot.setAttribute("aria-pressed", String(card.id === chosen));
  view.element.classList.toggle("chosen", card.id === chosen);
  view.element.classList.toggle("asking", card.id === asking);
  view.element.classList.toggle("ended", !isLive(card));
  const [state, words] = outcomeOf(card);
  view.outcome.dataset.state = state;
  say(view.outcome, words);
  drawLeft(view, card);
}

function outcomeOf(card) {
  if (unsent.has(card.id) && card.state === "live") return ["waiting", "等待提交…"];
  if (card.state === "live") return hasRunOut(card.id) ? ["expired", OUTCOMES.expired] : ["live", ""];
  if (card.pending && card.state !== "expired" && card.state !== "withdrawn") return ["waiting", "正在记录…"];
  const reason = REASONS.find(([code]) => code === card.note);
  return [card.state, OUTCOMES[card.state] + (reason ? `：${reason[1]}` : "")];
}

function drawLeft(view, card) {
  const left = (deadlines.get(card.id) ?? Infinity) - performance.now();
  const shown = isLive(card) && left < LAST_MINUTE_MS;
  say(view.left, shown ? `还剩 ${Math.max(1, Math.ceil(left / 1000))} 秒` : "");
}

function choose(id) {
  if (!liveCards().some((card) => card.id === id)) return;
  chosen = id;
  if (asking !== id) asking = "";
  draw();
}

function askWhy(id) {
  if (id && !liveCards().some((card) => card.id === id)) return;
  if (id) chosen = id;
  asking = id;
  draw();
  if (id) cards.get(id).why.focus({ preventScroll: true });
}

/* Answers */

function decline(id, code) {
  if (code === "another_time") answer(id, "later");
  else answer(id, "decline", code);
}

function answer(id, reply, note) {
  if (!liveCards().some((card) => card.id === id)) return;
  unsent.set(id, { answer: reply, ...(note ? { note } : {}) });
  asking = "";
  draw();
  submit(id);
}

async function submit(id) {
  const said = unsent.get(id);
  if (!said) return;
  let result;
  try {
    result = await ask("POST", `/desk/cards/${encodeURIComponent(id)}/answer`, said);
  } catch {
    result = { status: 0, json: {} };
  }
  if (unsent.get(id) !== said) return;
  if (result.status === 0 || result.status >= 500) {
    setTimeout(() => submit(id), RETRY_MS);
    return;
  }
  unsent.delete(id);
  settle(id, result);
  draw();
}

function settle(id, { status, json }) {
  const card = panel && cardById(id);
  if (card && json.state) { card.state = json.state; card.note = json.note; card.pending = false; }
  if (status === 200) speak(`${OUTCOMES[json.state] ?? ""}：${card ? card.title : ""}`);
  else if (status === 409) notify(`这条推荐的状态是“${OUTCOMES[json.state] ?? "已结束"}”，刚才的操作没有记录。`);
  else if (status === 401) { notify("登录已失效，刚才的操作没有记录。"); checkSession(); }
  else notify("这条推荐已不存在，刚才的操作没有记录。");
}

/* Keys */

function onKey(event) {
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (event.target instanceof HTMLInputElement) return;
  keepIfWarned();
  if (!panel || panel.state !== "open" || performance.now() < keysFrom) return;
  const key = event.key.toLowerCase();
  const act = asking ? reasonKey(key) : cardKey(key);
  if (act) { event.preventDefault(); act(); }
}

function reasonKey(key) {
  if (key === "escape") return () => askWhy("");
  const reason = REASONS[Number(key) - 1];
  return reason ? () => decline(asking, reason[0]) : null;
}

function cardKey(key) {
  const card = panel.cards.find(({ slot }) => String(slot) === key);
  if (card) return () => choose(card.id);
  if (key === "e") return endByKey;
  const acts = { y: () => answer(chosen, "accept"), n: () => askWhy(chosen), l: () => answer(chosen, "later") };
  return chosen && Object.hasOwn(acts, key) ? acts[key] : null;
}

/* Visits */

async function openVisit(event) {
  event.preventDefault();
  const number = byId("number").value.replaceAll(" ", "");
  let result = { status: 0, json: {} };
  try {
    result = await ask("POST", "/desk/visits", { terminal, number });
  } catch { /* the words below tell */ }
  const words = { 0: "暂时连不上，请再试一次。", 400: "号码不完整，请核对。", 401: "登录已失效。", 503: "系统正在恢复，请再试一次。" };
  say(byId("number-fault"), result.status < 300 && result.status > 0 ? "" : words[result.status] ?? "没有成功，请再试一次。");
  if (result.status === 201) byId("number").value = "";
}

async function closeVisit() {
  if (!panel || panel.state !== "open") return;
  byId("close").disabled = true;
  try {
    const { status } = await ask("DELETE", `/desk/visits/${encodeURIComponent(panel.visit)}`);
    if (status >= 500) notify("还没有结束成功，请再试一次。");
  } catch {
    notify("暂时连不上，请再试一次。");
  }
  byId("close").disabled = false;
}

/* By key, the first press asks and the second within a moment ends: a slip must not send a customer away. */
let endingUntil = 0;
function endByKey() {
  const sure = performance.now() < endingUntil;
  endingUntil = sure ? 0 : performance.now() + SURE_MS;
  drawEnding();
  if (sure) closeVisit();
}

function drawEnding() {
  say(byId("close"), performance.now() < endingUntil ? "再按 E 结束" : "结束接待");
}

/* The first press asks, the second within a moment records: a wish must not be made by a slip. */
let sureUntil = 0;
async function optOut() {
  if (!panel || panel.state !== "open" || panel.opted_out) return;
  const sure = performance.now() < sureUntil;
  sureUntil = sure ? 0 : performance.now() + SURE_MS;
  drawOptOut();
  if (!sure) return;
  try {
    const { status } = await ask("POST", `/desk/visits/${encodeURIComponent(panel.visit)}/optout`);
    notify(status === 204 ? "已登记：不再发送营销短信。" : "还没有登记成功，请再试一次。");
  } catch {
    notify("暂时连不上，请再试一次。");
  }
}

function drawOptOut() {
  const sure = performance.now() < sureUntil;
  byId("optout").disabled = panel.opted_out === true;
  say(byId("optout"), panel.opted_out ? "已退订营销" : sure ? "确认退订营销？" : "不再营销");
}

let keeping = false;
async function keepIfWarned() {
  if (byId("idle").hidden || keeping) return;
  keeping = true;
  try { await ask("POST", `/desk/visits/${encodeURIComponent(panel.visit)}/keep`); } catch { /* the panel will tell */ }
  keeping = false;
}

function drawIdle() {
  const left = idleAt - performance.now();
  const warned = panel !== null && panel.state === "open" && left < IDLE_WARNING_MS;
  byId("idle").hidden = !warned;
  if (warned) say(byId("idle-text"), `${Math.max(1, Math.ceil(left / 1000))} 秒没有操作将结束接待`);
}

/* The stream */

let stream = null;
let heardAt = 0;
let joinTimer = 0;

function setLink(state) {
  if (document.body.dataset.link === state) return;
  document.body.dataset.link = state;
  say(byId("link"), { ok: "已连接", lost: "重新连接", joining: "正在连接", locked: "需要登录" }[state]);
  byId("banner").hidden = state !== "lost" || panel === null;
  if (state === "ok") for (const id of unsent.keys()) submit(id);
}

function heard() { heardAt = performance.now(); }

function onPanel(event) {
  heard();
  panel = JSON.parse(event.data);
  const now = performance.now();
  deadlines.clear();
  for (const [id, left] of Object.entries(panel.expires_in_ms ?? {})) deadlines.set(id, now + left);
  idleAt = panel.state === "open" ? now + panel.idle_in_ms : Infinity;
  closedUntil = panel.state === "closed" ? now + CLOSED_MS - panel.closed_ago_ms : 0;
  draw();
}

function join() {
  clearTimeout(joinTimer);
  stream?.close();
  heard();
  stream = new EventSource(`/desk/${encodeURIComponent(terminal)}/events`);
  stream.addEventListener("hello", (event) => { heard(); hello = JSON.parse(event.data); });
  stream.addEventListener("panel", (event) => { onPanel(event); setLink("ok"); });
  stream.addEventListener("taken", checkSession);
  stream.addEventListener("beat", () => { heard(); });
  stream.addEventListener("link", (event) => { heard(); setLink(JSON.parse(event.data).state); });
  stream.addEventListener("open", () => { heard(); if (panel !== null) setLink("ok"); });
  stream.addEventListener("error", () => {
    setLink("lost");
    if (stream.readyState === EventSource.CLOSED) checkSession();
  });
}

async function checkSession() {
  stream?.close();
  let status = 0;
  let json = {};
  try { ({ status, json } = await ask("GET", `/desk/${encodeURIComponent(terminal)}/session`)); } catch { /* not there yet */ }
  if (status === 401) {
    panel = null;
    setLink("locked");
    say(byId("locked-title"), json.error === "taken_over" ? "本柜台已在另一处登录" : "本页尚未登录");
    show("locked");
  }
  clearTimeout(joinTimer);
  joinTimer = setTimeout(status === 401 ? checkSession : join, status === 401 ? 10000 : 1000);
}

function tick() {
  if (performance.now() - heardAt > 2.5 * hello.heartbeat_ms && stream?.readyState === EventSource.OPEN) {
    setLink("lost");
    join();
  }
  if (panel !== null && panel.state !== "empty") draw();
}

async function start() {
  say(byId("terminal"), terminal);
  say(byId("locked-terminal"), terminal);
  attend(`${terminal} · 前台`);
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    history.replaceState(null, "", location.pathname);
    try { await ask("POST", `/desk/${encodeURIComponent(terminal)}/session`, { token }); } catch { /* join() tells */ }
  }
  join();
  setInterval(tick, 1000);
}

document.addEventListener("keydown", onKey);
document.addEventListener("pointerdown", keepIfWarned);
byId("number-form").addEventListener("submit", openVisit);
byId("close").addEventListener("click", closeVisit);
byId("optout").addEventListener("click", optOut);
byId("keep").addEventListener("click", keepIfWarned);
start();
