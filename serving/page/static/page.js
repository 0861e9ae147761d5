// The page's behaviour: brings its content, asks :explain, and shows the answer. No library, nothing is stored.
"use strict";

let key = ""; // of the API; here and nowhere else
const byId = (id) => document.getElementById(id);

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  element.append(...children);
  return element;
}

function draw(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  element.append(...children);
  return element;
}

function ask(path, body) {
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  if (body === undefined) return fetch(path, { headers, cache: "no-store" });
  headers["content-type"] = "application/json";
  return fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
}

async function reasonOf(response) {
  const failure = await response.json().catch(() => ({}));
  return failure.error || `the service answered ${response.status}`;
}

// The content, and the key that it may need.

async function load() {
  const response = await ask("page/content").catch(() => null);
  byId("content").removeAttribute("aria-busy");
  if (response !== null && response.ok) {
    byId("key-form").hidden = true;
    byId("content").innerHTML = await response.text(); // the service's own, with every value escaped
    document.title = byId("content").querySelector("h1").textContent;
    byId("form").addEventListener("submit", predict);
    byId("upcoming")?.addEventListener("change", fillIn);
    unlinkCard();
    await showLogged();
    return;
  }
  if (response !== null && (response.status === 401 || response.status === 403)) {
    byId("content").replaceChildren();
    byId("key-form").hidden = false;
    byId("key-error").textContent = key ? await reasonOf(response) : "";
    byId("key").focus();
    return;
  }
  const reason = response === null ? "the service does not answer" : await reasonOf(response);
  byId("content").replaceChildren(make("p", { class: "bad", role: "alert" }, reason));
}

// A link carries no key; the text below it is the same.
function unlinkCard() {
  if (key) byId("card")?.removeAttribute("href");
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = byId("key").value.trim();
  byId("key").value = "";
  load();
});

// The form.

const inputs = () => [...byId("form").querySelectorAll("[data-name]")];

function fillIn() {
  if (!byId("upcoming").value) {
    byId("form").reset();
    return;
  }
  const instance = JSON.parse(byId("upcoming").value);
  for (const input of inputs()) {
    const value = instance[input.dataset.name];
    let text = value === null || value === undefined ? "" : String(value);
    if (input.dataset.kind === "moment" && text) {
      const [, local, offset] = text.match(/^(.*?)(Z|[+-]\d\d:?\d\d)?$/);
      byId(`${input.id}-offset`).value = offset === "Z" ? "+00:00" : offset || "";
      text = local.replace(/\.0+$/, "");
    }
    input.value = input.dataset.kind === "date" ? text.slice(0, 10) : text;
  }
}

function valueOf(input) {
  const { kind, type } = input.dataset;
  if (input.value === "") return null;
  if (kind === "moment") return input.value + byId(`${input.id}-offset`).value.trim();
  if (type === "boolean") return input.value === "true";
  return type === "integer" || type === "number" ? Number(input.value) : input.value;
}

function instanceOf() {
  const pairs = inputs().map((input) => [input.dataset.name, valueOf(input)]);
  return Object.fromEntries(pairs.filter(([, value]) => value !== null));
}

function showFaults(faults) {
  for (const input of inputs()) {
    const reasons = faults.filter((fault) => fault.field === `instances[0].${input.dataset.name}`);
    byId(`${input.id}-error`).textContent = reasons.map((fault) => fault.reason).join("; ");
    if (reasons.length) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
  byId("form").querySelector('[aria-invalid="true"]')?.focus();
}

async function predict(event) {
  event.preventDefault();
  const button = byId("form").querySelector("button");
  const config = JSON.parse(byId("form").dataset.config);
  button.disabled = true;
  byId("status").textContent = "Asking ...";
  byId("status").classList.remove("bad");
  try {
    const response = await ask(config.path, { instances: [instanceOf()] }).catch(() => null);
    if (response !== null && response.ok) {
      showFaults([]);
      const answer = await response.json();
      show(answer.model.version === config.version ? config : await followModel(config), answer);
    } else {
      await showRefusal(response);
    }
  } finally {
    button.disabled = false;
  }
}

// Another version answered than the page was made for: what is told of the model follows.
async function followModel(config) {
  const response = await ask("page/content").catch(() => null);
  if (response === null || !response.ok) return config;
  const fresh = make("template");
  fresh.innerHTML = await response.text();
  byId("about").replaceWith(fresh.content.getElementById("about"));
  unlinkCard();
  byId("form").dataset.config = fresh.content.getElementById("form").dataset.config;
  return JSON.parse(byId("form").dataset.config);
}

async function showRefusal(response) {
  const failure = response === null ? {} : await response.json().catch(() => ({}));
  const faults = failure.fields || [];
  const elsewhere = faults.filter((fault) => !inputs().some((input) => fault.field === `instances[0].${input.dataset.name}`));
  const reason = failure.error || "the service does not answer";
  byId("answer").replaceChildren();
  byId("status").classList.add("bad");
  byId("status").textContent = [reason, ...elsewhere.map((fault) => `${fault.field}: ${fault.reason}`)].join("; ");
  showFaults(faults);
}

// The answer.

const number = (value) => (Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4))));
const percent = (value) => `${Number((100 * value).toFixed(1))} %`;
const shown = (value) => (value === null ? "missing" : typeof value === "number" ? number(value) : String(value));
const plural = (count, name) => `${count} ${name}${count === 1 ? "" : "s"}`;
const signed = (text, value) => (value > 0 && text !== "0" ? `+${text}` : text);

function age(seconds) {
  if (seconds < 120) return plural(seconds, "second");
  if (seconds < 7200) return plural(Math.round(seconds / 60), "minute");
  return seconds < 172800 ? plural(Math.round(seconds / 3600), "hour") : plural(Math.round(seconds / 86400), "day");
}

// An address that ends with #prediction=ID leads to an answer that was given before.
async function showLogged() {
  const [, id] = location.hash.match(/^#prediction=(\w+)$/) || [];
  if (id === undefined || byId("form") === null || id === shownId) return;
  const response = await ask(`page/predictions/${id}`).catch(() => null);
  if (response === null || !response.ok) {
    await showRefusal(response);
    return;
  }
  const { version, model_is_served: isServed, ...explanation } = await response.json();
  const config = JSON.parse(byId("form").dataset.config);
  show(isServed ? config : { ...config, base_rates: {}, usual_range: null }, { explanations: [explanation], model: { version } });
}

addEventListener("hashchange", showLogged);

let shownId = "";

function show(config, answer) {
  const [{ prediction, changes }] = answer.explanations;
  shownId = prediction.prediction_id;
  const parts = { classification: ofProbability, multiclass: ofClasses, regression: ofNumber }[config.task](config, prediction);
  byId("status").textContent = parts.sentence;
  byId("answer").replaceChildren(
    ...parts.elements,
    ...notesOf(prediction),
    ...changesOf(config, prediction, changes),
    ...agesOf(prediction),
    make("p", { class: "soft" }, `Version ${answer.model.version}, logged as `, make("a", { href: `#prediction=${shownId}` }, make("code", {}, shownId)), ". All that was known then: ", make("code", {}, `make why PREDICTION=${shownId}`)),
  );
  byId("answer-title").scrollIntoView({ block: "nearest" });
}

function bar(value, mark, label) {
  const parts = [
    draw("rect", { class: "track", width: 300, height: 16, rx: 3 }),
    draw("rect", { class: "down", width: Math.max(1, 300 * value), height: 16, rx: 3 }),
  ];
  if (mark !== undefined) parts.push(draw("rect", { class: "mark", x: Math.min(297, 300 * mark), y: -4, width: 3, height: 24 }));
  return draw("svg", { viewBox: "0 -5 300 26", width: 300, height: 26, role: "img", "aria-label": label }, ...parts);
}

function ofProbability(config, prediction) {
  const value = prediction.probability;
  const base = config.base_rates[config.label];
  const beside = base === undefined ? "" : `; the base rate is ${percent(base)}`;
  const verdict = `${config.label}: ${prediction[config.label] ? "yes" : "no"}, as the threshold is ${percent(config.threshold)}.`;
  const mark = base === undefined ? "" : ", and the base rate as a mark";
  return {
    sentence: `The probability is ${percent(value)}${beside}.`,
    elements: [make("p", { class: "value" }, percent(value)), bar(value, base, `The probability as a bar${mark}`), make("p", { class: "soft" }, verdict)],
  };
}

function ofClasses(config, prediction) {
  const likeliest = prediction[config.label];
  const rows = Object.entries(prediction.probabilities).sort((one, other) => other[1] - one[1]);
  const body = rows.map(([name, value]) => {
    const base = config.base_rates[name];
    return make("tr", {}, make("th", { scope: "row" }, name), make("td", { class: "n" }, percent(value)), make("td", { class: "n" }, base === undefined ? "not known" : percent(base)), make("td", {}, bar(value, base, `${name} as a bar`)));
  });
  const head = make("tr", {}, ...["Class", "Probability", "Base rate", "As a bar"].map((name, place) => make("th", { scope: "col", class: place === 1 || place === 2 ? "n" : "" }, name)));
  return {
    sentence: `The likeliest class is ${likeliest}, with ${percent(prediction.probabilities[likeliest])}.`,
    elements: [make("p", { class: "value" }, likeliest), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Classes" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)))],
  };
}

function ofNumber(config, prediction) {
  const value = prediction[config.label];
  const range = config.usual_range;
  const beside = range ? `; nine of ten rows of training lie between ${number(range[0])} and ${number(range[2])}, the median is ${number(range[1])}` : "";
  return { sentence: `${config.label} is predicted as ${number(value)}${beside}.`, elements: [make("p", { class: "value" }, number(value))] };
}

function notesOf(prediction) {
  const notes = prediction.notes.map((note) => make("li", {}, note));
  return notes.length ? [make("ul", {}, ...notes)] : [];
}

const ofClass = (value, prediction, config) => (typeof value === "number" ? value : value[prediction[config.label]]);

function changesOf(config, prediction, changes) {
  if (!changes.length) return [make("p", { class: "soft" }, "What drove it is not known: another version is served by now, or this one was registered before typical values were kept with it.")];
  const isNumber = config.task === "regression";
  const text = isNumber ? number : percent;
  const rows = changes.map((each) => ({ ...each, moved: ofClass(each.change, prediction, config), then: ofClass(each.if_typical, prediction, config) }));
  const most = Math.max(...rows.map((each) => Math.abs(each.moved))) || 1;
  const body = rows.map((each) => changeRow(each, text, most, isNumber));
  const what = isNumber ? "the prediction" : config.task === "multiclass" ? `the probability of ${prediction[config.label]}` : "the probability";
  const unit = isNumber ? "" : " (in percentage points)";
  const head = make("tr", {}, make("th", { scope: "col" }, "Features"), make("th", { scope: "col", class: "n" }, "Change"), make("th", { scope: "col", class: "n" }, "If typical"));
  return [
    make("h3", {}, "What drove it"),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "What drove it" },
      make("table", {}, make("caption", {}, `By how much ${what} changed${unit} because a group of features was not typical. Typical is the median, or the most frequent text, of the rows the model learned from. The changes need not add up.`), make("thead", {}, head), make("tbody", {}, ...body))),
  ];
}

function changeRow(each, text, most, isNumber) {
  const width = (90 * Math.abs(each.moved)) / most;
  const isUp = each.moved > 0;
  const picture = draw("svg", { viewBox: "0 0 182 12", width: 182, height: 12, "aria-hidden": "true" },
    draw("rect", { class: "track", y: 5, width: 182, height: 2 }),
    draw("rect", { class: isUp ? "up" : "down", x: isUp ? 91 : 91 - width, width, height: 12 }),
    draw("rect", { class: "mark", x: 90.5, width: 1, height: 12 }));
  const moved = isNumber ? number(each.moved) : String(Number((100 * each.moved).toFixed(1)));
  const values = Object.keys(each.values).map((name) => make("li", {}, `${name}: ${shown(each.values[name])} (typical ${shown(each.typical[name])})`));
  const details = make("details", {}, make("summary", {}, each.group), make("ul", {}, ...values));
  return make("tr", {}, make("th", { scope: "row" }, details, picture), make("td", { class: "n" }, signed(moved, each.moved)), make("td", { class: "n" }, text(each.then)));
}

function agesOf(prediction) {
  const missing = Object.entries(prediction.missing_features).map(([name, why]) => {
    const seconds = prediction.feature_ages_seconds[name];
    return make("li", {}, `${name}: ${why}${seconds === undefined ? "" : `, ${age(seconds)} old`}`);
  });
  const ages = Object.entries(prediction.feature_ages_seconds).map(([name, seconds]) => make("li", {}, `${name}: ${age(seconds)}`));
  return [
    make("h3", {}, "Missing or stale features"),
    missing.length ? make("ul", {}, ...missing) : make("p", {}, "None."),
    ...(ages.length ? [make("details", {}, make("summary", {}, "Age of each view's values"), make("ul", {}, ...ages))] : []),
  ];
}

load();
