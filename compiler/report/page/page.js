/* page.js: common functions of all panels, and the page that the panels make. Panels are in other files.
 *
 * A panel is a block of JSON and a function that draws it. To add one: put a member into `panels` in
 * cmd_inspect.c (it becomes the script element data-KEY) and call panel("KEY", "Title", (data, section)
 * => ...) in a file of this folder. A panel without data is not shown. All data from the model is
 * displayed through node() as text. No text is ever parsed as markup. */
"use strict";

const panels = [];
function panel(key, title, draw) {
	panels.push({ key, title, draw });
}
function block(key) {
	const at = document.getElementById("data-" + key);
	return at ? JSON.parse(at.textContent) : null;
}

/* Creates an element. Special attributes: `text`, `on` (event: function), `vars` (CSS variables). An
 * attribute that is null is not set. */
function element(space, tag, attributes, children) {
	const made = space ? document.createElementNS(space, tag) : document.createElement(tag);
	for (const [name, value] of Object.entries(attributes || {})) {
		if (value === null || value === undefined || value === false) continue;
		if (name === "text") made.textContent = value;
		else if (name === "on")
			for (const [event, run] of Object.entries(value)) made.addEventListener(event, run);
		else if (name === "vars")
			for (const [key, to] of Object.entries(value)) made.style.setProperty("--" + key, to);
		else made.setAttribute(name, value === true ? "" : value);
	}
	for (const child of children.flat(Infinity))
		if (child !== null && child !== undefined && child !== false) made.append(child);
	return made;
}
function node(tag, attributes, ...children) {
	return element(null, tag, attributes, children);
}
function svg(tag, attributes, ...children) {
	return element("http://www.w3.org/2000/svg", tag, attributes, children);
}

/* A scrolling table: a title for each column, and rows of `tr`. */
function table(kind, titles, rows) {
	const head = node(
		"tr",
		null,
		titles.map(title => node("th", { scope: "col", text: title })),
	);
	return node(
		"div",
		{ class: "scroll" },
		node("table", { class: kind }, node("thead", null, head), node("tbody", null, rows)),
	);
}
/* A row of a table; a cell is a text or a `td` element. */
function cells(values, attributes = null) {
	return node(
		"tr",
		attributes,
		values.map(value => (value instanceof Element ? value : node("td", { text: value }))),
	);
}

/* ---- numbers ---- */
function scaled(value, unit) {
	const steps = [
		[1e9, "G"],
		[1e6, "M"],
		[1e3, "k"],
	];
	for (const [size, letter] of steps)
		if (Math.abs(value) >= size) return (value / size).toPrecision(3) + " " + letter + unit;
	return value + (unit ? " " + unit : "");
}
const bytes = value => scaled(value, "B"),
	count = value => scaled(value, "").trim();
function percent(after, before) {
	if (!before) return "";
	const change = (100 * (after - before)) / before;
	if (Math.abs(change) < 0.05) return "";
	return (change > 0 ? "+" : "−") + Math.abs(change).toFixed(1) + "\u00a0%";
}
function signed(value, digits) {
	return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);
}
function parse_pass(text) {
	const brace = text.indexOf("{");
	return brace < 0 ? [text, ""] : [text.slice(0, brace), text.slice(brace + 1, -1)];
}

/* ---- the page ---- */
function draw_page() {
	const model = block("model"),
		ledger = block("ledger"),
		main = node("main"),
		links = node("nav", { "aria-label": "panels" });
	panels.forEach((p, i) => {
		const data = block(p.key);
		if (!data) return;
		const id = "panel-" + i,
			section = node(
				"section",
				{ id, "aria-labelledby": id + "-title" },
				node("h2", { id: id + "-title", text: p.title }),
			);
		main.append(section);
		links.append(node("a", { href: "#" + id, text: p.title }));
		p.draw(data, section);
	});
	document.body.append(draw_head(model, ledger), links, main);
}
document.addEventListener("DOMContentLoaded", draw_page);
