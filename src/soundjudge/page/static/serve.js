// The local page: sends sounds and texts, waits for the scores, and shows them.
// All that a user or a file named is set as text, never as markup.
"use strict";

const POLL_MS = 400;
const byId = (id) => document.getElementById(id);
const difference = Number(document.body.dataset.difference); // of scores that tie
let chosen = []; // {file, url}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function drawing(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const player = (url, label) => element("audio", { controls: "", preload: "metadata", src: url, "aria-label": label });

// Choosing sounds

function addFiles(files) {
  for (const file of files) chosen.push({ file, url: URL.createObjectURL(file) });
  listChosen();
}

function listChosen() {
  byId("chosen").replaceChildren(
    ...chosen.map((sound) => {
      const remove = element("button", { type: "button", "aria-label": `Remove ${sound.file.name}` }, "×");
      remove.addEventListener("click", () => {
        // Its address stays: scores that are shown still play it.
        chosen = chosen.filter((other) => other !== sound);
        listChosen();
        byId("sounds").focus();
      });
      const name = element("span", { title: sound.file.name }, sound.file.name);
      return element("li", {}, name, player(sound.url, sound.file.name), remove);
    })
  );
}

byId("sounds").addEventListener("change", (event) => {
  addFiles(event.target.files);
  event.target.value = ""; // the same file may be chosen again
});
const drop = byId("drop");
for (const kind of ["dragenter", "dragover"])
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  addFiles(event.dataTransfer.files);
});

// One sound at a time: takes are compared one after another.
document.addEventListener(
  "play",
  (event) => {
    for (const other of document.querySelectorAll("audio")) if (other !== event.target) other.pause();
  },
  true
);

// Sending and waiting

byId("grid").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData();
  const sounds = [...chosen];
  for (const sound of sounds) form.append("sounds", sound.file);
  for (const text of byId("texts").value.split("\n")) if (text.trim()) form.append("texts", text.trim());
  submit(event.target, form, (result, job) => showGrid(result, job, sounds));
});

byId("table").addEventListener("submit", (event) => {
  event.preventDefault();
  submit(event.target, new FormData(event.target), showTable);
});

async function submit(target, form, show) {
  const button = target.querySelector("button[type=submit]");
  byId("error").hidden = true;
  byId("status").hidden = false;
  button.disabled = true;
  advance("Sending");
  try {
    const { job } = await answer(await fetch(target.action, { method: "POST", body: form }));
    const result = await wait(job);
    show(result, job);
    byId("results").focus({ preventScroll: true });
    byId("results").scrollIntoView({ block: "start" });
  } catch (error) {
    byId("error").textContent = error.message;
    byId("error").hidden = false;
  } finally {
    byId("status").hidden = true;
    button.disabled = false;
  }
}

async function answer(response) {
  const values = await response.json().catch(() => ({ error: `the page answers ${response.status}` }));
  if (!response.ok) throw new Error(values.error);
  return values;
}

async function wait(job) {
  for (;;) {
    const status = await answer(await fetch(`/jobs/${job}`));
    if (status.state === "failed") throw new Error(status.error);
    if (status.state === "done") return status.result;
    if (status.state === "waiting") advance("Waiting for other requests");
    else advance(`Scoring ${status.done} of ${status.total || "?"}`, status.done, status.total);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function advance(label, done, total) {
  byId("progress-label").textContent = label;
  const bar = byId("progress");
  if (total) {
    bar.max = total;
    bar.value = done;
  } else bar.removeAttribute("value");
}

// Scores of sounds with texts

function showGrid(result, job, files) {
  // One sound with many texts is ranked by text; else each text ranks the sounds.
  const oneSound = result.sounds.length === 1 && result.texts.length > 1;
  const groups = oneSound ? result.sounds : result.texts;
  const parts = groups.map((group, number) => {
    const pairs = result.pairs.filter((pair) => (oneSound ? pair.sound : pair.text) === number);
    pairs.sort((first, second) => second.value - first.value);
    const heading = element("h2", {}, oneSound ? group.name : group);
    const notes = [];
    const coverage = document.body.dataset.coverage;
    if (coverage && pairs.length > 1)
      notes.push(element("p", { class: "muted" }, `Equal ranks: within ${difference} points. Listeners share the order of scores that differ by more in ${coverage} of cases.`));
    const cards = pairs.map((pair) => {
      const rank = 1 + pairs.filter((other) => other.value - pair.value > difference).length;
      const label = oneSound ? result.texts[pair.text] : result.sounds[pair.sound].name;
      return card(pair, pairs.length > 1 ? rank : "", label, result, job, files[pair.sound].url);
    });
    return [heading, ...notes, ...cards];
  });
  const unread = result.sounds.filter((sound) => sound.error).map((sound) => element("p", { class: "note" }, sound.error));
  byId("results").replaceChildren(...unread, ...parts.flat(), actions(job));
}

function card(pair, rank, label, result, job, url) {
  const sound = result.sounds[pair.sound];
  const value = element("div", { class: "value" }, pair.value.toFixed(2));
  if (pair.interval) value.append(element("small", {}, `${pair.interval[0].toFixed(1)} to ${pair.interval[1].toFixed(1)}`));
  const meter = drawing("svg", { class: "meter", "aria-hidden": "true" }, drawing("rect", { width: `${pair.value * 10}%`, height: "100%" }));
  const more = element("div", { class: "more" }, player(url, `${sound.name}, ${label}`));
  for (const flag of pair.flags) more.append(element("p", { class: "muted" }, flag));
  const members = Object.entries(pair.members).map(([name, score]) => element("li", {}, `${name} `, element("b", {}, score.toFixed(2))));
  if (members.length > 1) more.append(element("ul", { class: "members", "aria-label": "Scores of the members" }, ...members));
  more.append(overTime(pair, sound, job));
  return element("article", { class: "scored" }, element("div", { class: "rank" }, `${rank}`), element("div", { class: "name" }, label), value, meter, more);
}

function overTime(pair, sound, job) {
  const picture = element("img", { src: `/jobs/${job}/${sound.picture}`, alt: `Spectrogram of ${sound.name}`, loading: "lazy" });
  const parts = [element("div", { class: "unit", "aria-hidden": "true" }, element("span", {}, "8 kHz"), element("span", {}, "0")), picture];
  if (pair.windows.length > 1) {
    const spoken = pair.windows.map((window) => `${window.start.toFixed(0)} to ${window.end.toFixed(0)} s: ${window.value.toFixed(1)}`);
    const steps = drawing("svg", { class: "steps", role: "img", "aria-label": `Score over time. ${spoken.join("; ")}` });
    const x = (seconds) => `${(100 * seconds) / sound.seconds}%`;
    const y = (score) => `${97 - 9.4 * score}%`;
    for (const score of [0, 5, 10]) steps.append(drawing("line", { class: "axis", x1: 0, x2: "100%", y1: y(score), y2: y(score) }));
    pair.windows.forEach((window, number) => {
      const before = pair.windows[number - 1];
      if (before) steps.append(drawing("line", { class: "join", x1: x(window.start), x2: x(window.start), y1: y(before.value), y2: y(window.value) }));
      const title = drawing("title", {}, spoken[number]);
      steps.append(drawing("line", { class: "step", x1: x(window.start), x2: x(window.end), y1: y(window.value), y2: y(window.value) }, title));
    });
    parts.push(element("div", { class: "unit", "aria-hidden": "true" }, element("span", {}, "10"), element("span", {}, "score"), element("span", {}, "0")), steps);
  }
  parts.push(element("div", { class: "seconds", "aria-hidden": "true" }, element("span", {}, "0 s"), element("span", {}, `${sound.seconds.toFixed(1)} s`)));
  return element("div", { class: "time" }, ...parts);
}

// Scores of a table

function showTable(result, job) {
  const scored = result.rows - result.errors.length;
  const parts = [element("h2", {}, `${scored} of ${result.rows} rows scored`)];
  if (result.mean !== null) parts.push(element("p", {}, "Mean ", element("b", {}, result.mean.toFixed(2)), "."));
  if (result.errors.length) parts.push(rows("Without a score", result.errors, "reason"));
  if (result.highest.length) parts.push(rows("Highest", result.highest, "value"));
  if (result.lowest.length) parts.push(rows("Lowest", result.lowest, "value"));
  byId("results").replaceChildren(...parts, actions(job));
}

function rows(caption, listed, last) {
  const isValue = last === "value";
  const names = isValue ? ["Row", "Score", "Sound", "Text"] : ["Row", "Sound", "Reason"];
  const cells = (row) =>
    isValue
      ? [`${row.row}`, element("b", {}, row.value.toFixed(2)), row.sound, row.text]
      : [`${row.row}`, row.sound, row.reason];
  const head = names.map((name) => element("th", { scope: "col" }, name));
  const lines = listed.map((row) => element("tr", {}, ...cells(row).map((cell) => element("td", {}, cell))));
  const table = element("table", { class: "pairs" }, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...lines));
  return element("div", {}, element("h3", {}, caption), element("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" }, table));
}

const actions = (job) => element("p", { class: "actions" }, element("a", { href: `/jobs/${job}/scores.csv`, download: "scores.csv" }, "Download the scores as CSV"));
