/* page.js: what all panels of the inspector's page share, and those about the whole model; ir.js has the IR and the C.
 *
 * A panel is a block of JSON and a function that draws it. To add one: put a member into `panels` in cmd_inspect.c (it becomes
 * the script element data-KEY) and call panel("KEY", "Title", (data, section) => ...) here. A panel without
 * data is left out. Everything of the model goes through node(), as text, and no text is ever read as markup. */
"use strict";

const panels = [];
function panel(key, title, draw) { panels.push({ key, title, draw }); }
function block(key) { const at = document.getElementById("data-" + key); return at ? JSON.parse(at.textContent) : null; }

/* An element. attributes: `text`, `on` (event: function), `vars` (CSS variables), else as they are spelled; null is left out. */
function element(space, tag, attributes, children) {
	const made = space ? document.createElementNS(space, tag) : document.createElement(tag);
	for (const [name, value] of Object.entries(attributes || {})) {
		if (value === null || value === undefined || value === false) continue;
		if (name === "text") made.textContent = value;
		else if (name === "on") for (const [event, run] of Object.entries(value)) made.addEventListener(event, run);
		else if (name === "vars") for (const [key, to] of Object.entries(value)) made.style.setProperty("--" + key, to);
		else made.setAttribute(name, value === true ? "" : value);
	}
	for (const child of children.flat(Infinity)) if (child !== null && child !== undefined && child !== false) made.append(child);
	return made;
}
function node(tag, attributes, ...children) { return element(null, tag, attributes, children); }
function svg(tag, attributes, ...children) { return element("http://www.w3.org/2000/svg", tag, attributes, children); }

/* ---- numbers ---- */
function scaled(value, unit) {
	const steps = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];
	for (const [size, letter] of steps) if (Math.abs(value) >= size) return (value / size).toPrecision(3) + " " + letter + unit;
	return value + (unit ? " " + unit : "");
}
const bytes = value => scaled(value, "B"), count = value => scaled(value, "").trim();
function percent(after, before) {
	if (!before) return "";
	const change = 100 * (after - before) / before;
	return Math.abs(change) < .05 ? "" : (change > 0 ? "+" : "−") + Math.abs(change).toFixed(1) + "\u00a0%";
}
function signed(value, digits) { return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits); }
function parse_pass(text) { const brace = text.indexOf("{"); return brace < 0 ? [text, ""] : [text.slice(0, brace), text.slice(brace + 1, -1)]; }

/* ---- what came of it ---- */
function draw_head(model, ledger) {
	const first = ledger.start, last = ledger.passes[ledger.passes.length - 1] || first;
	const tile = (name, show, key) => {
		if (first[key] === undefined) return null;
		const change = percent(last[key], first[key]), better = last[key] < first[key];
		return node("div", { class: "tile" }, node("span", { class: "soft", text: name }), node("b", { text: show(last[key]) }),
			node("span", { class: "soft", text: "from " + show(first[key]) + " " }), node("span", { class: better ? "good" : "bad", text: change }));
	};
	const score = first.score === undefined ? null : node("div", { class: "tile" }, node("span", { class: "soft", text: ledger.metric }),
		node("b", { text: (100 * last.score).toFixed(2) + " %" }), node("span", { class: "soft", text: "from " + (100 * first.score).toFixed(2) + " % " }),
		node("span", { class: last.score < first.score ? "bad" : "good", text: signed(100 * (last.score - first.score), 2) + " points" }));
	return node("header", null, node("h1", { text: model.name }),
		node("div", { class: "soft", text: [model.meta.encoder, ...model.heads.map(h => h.name + (h.labels.length ? ": " + h.labels.slice(0, 8).join(", ") : "")),
			"for " + model.target + ", " + model.cpu, "bertc " + model.bertc].filter(Boolean).join(" · ") }),
		node("code", { text: model.pipeline }),
		node("div", { class: "tiles" }, score, tile("ms a text, one thread", v => v.toFixed(2), "latency_ms"), tile("weights", bytes, "weight_bytes"),
			tile("parameters", count, "parameters"), tile("MACs at 128 tokens", count, "macs_128"), tile("ops and constants", String, "nodes")));
}

/* ---- ledger ---- */
function cosine_class(cosine) { return cosine >= .9999 ? "" : cosine >= .99 ? "warn" : "bad"; }

function ledger_cells(row, before, start) {
	const amount = (label, key, show) => {
		const share = start[key] ? row[key] / start[key] : 0, change = before ? percent(row[key], before[key]) : "";
		return node("td", { class: start[key] ? "amount" : null, "data-label": label, vars: { share: (100 * Math.min(share, 1)).toFixed(1) + "%", part: Math.min(share, 1) } },
			row[key] || key !== "arena_bytes" ? show(row[key]) : "–", change && node("small", { class: row[key] < before[key] ? "good" : "bad", text: change }));
	};
	const measured = [];
	if (start.score !== undefined) {
		const drop = before ? 100 * (row.score - before.score) : 0;
		measured.push(node("td", { "data-label": "score" }, (100 * row.score).toFixed(2) + " %",
			Math.abs(drop) > .004 && node("small", { class: drop < 0 ? "bad" : "good", text: signed(drop, 2) + " points" })));
	}
	if (start.latency_ms !== undefined)
		measured.push(node("td", { "data-label": "ms a text" }, row.latency_ms.toFixed(2),
			before && percent(row.latency_ms, before.latency_ms) && node("small", { class: row.latency_ms < before.latency_ms ? "good" : "bad", text: percent(row.latency_ms, before.latency_ms) })));
	return [...measured, amount("weights", "weight_bytes", bytes), amount("parameters", "parameters", count), amount("MACs", "macs_128", count),
		node("td", { "data-label": "nodes", text: row.nodes }), amount("arena", "arena_bytes", bytes),
		node("td", { "data-label": "max |Δ|", text: row.max_abs === undefined ? "–" : row.max_abs === 0 ? "0" : row.max_abs.toPrecision(2) }),
		node("td", { "data-label": "cosine", class: row.cosine === undefined ? "" : cosine_class(row.cosine), text: row.cosine === undefined ? "–" : row.cosine.toFixed(6) })];
}

function ledger_row(row, before, start, index) {
	const [name, options] = parse_pass(row.pass);
	return node("tr", { class: row.changes ? null : "same" },
		node("td", { class: "pass" }, node("button", { type: "button", title: "show its column", text: name, on: { click: () => show_column(index) } }),
			row.lossy && node("span", { class: "badge", title: "may change results beyond rounding", text: "lossy" }), options && node("span", { class: "options mono", text: options })),
		node("td", { "data-label": "changes", text: row.changes || "–" }), ledger_cells(row, before, start));
}

panel("ledger", "What each pass cost", (ledger, section) => {
	const start = ledger.start, wide = 9 + (start.score !== undefined) + (start.latency_ms !== undefined);
	const titles = ["pass", "changes", ...(start.score !== undefined ? [ledger.metric] : []), ...(start.latency_ms !== undefined ? ["ms a text"] : []),
		"weights", "parameters", "MACs at 128", "nodes", "arena at 128", "max |Δ|", "cosine"];
	const body = node("tbody", null, node("tr", null, node("td", { class: "pass", text: "as read" }), node("td", { text: "" }), ledger_cells(start, null, start)));
	ledger.passes.forEach((row, i) => {
		body.append(ledger_row(row, i ? ledger.passes[i - 1] : start, start, i));
		if (row.notes.length) body.append(node("tr", { class: "notes" }, node("td", { colspan: wide }, node("details", null,
			node("summary", { text: row.notes.length === 1 ? row.notes[0].slice(0, 140) : row.notes.length + " notes: what was done, what did not match and why" }),
			node("ul", null, row.notes.map(note => node("li", { class: "mono", text: note })))))));
	});
	section.append(node("p", { text: "Bars are shares of the model as it was read; differences are against the pass before. max |Δ| and cosine compare the outputs on a small made-up text" +
		(start.score === undefined ? "." : "; score and time are those of a program made of what the pass left, the first of them of the ops as they were read, unfused.") }),
		node("div", { class: "scroll" }, node("table", { class: "ledger" }, node("thead", null, node("tr", null, titles.map(t => node("th", { scope: "col", text: t })))), body)));
});

/* ---- charts ---- */
function ticks(low, high) {
	const span = high - low || Math.abs(high) || 1, rough = span / 4, power = 10 ** Math.floor(Math.log10(rough));
	const step = [1, 2, 2.5, 5, 10].map(f => f * power).find(s => s >= rough), out = [];
	for (let t = Math.ceil(low / step) * step; t <= high + step * 1e-9; t += step) out.push(t);
	return out;
}

/* Where a label beside a point covers least of what is there already. */
function free_place(x, y, width, W, taken) {
	let best = null, least = Infinity;
	for (const [dx, dy, anchor] of [[11, 4, "start"], [-11, 4, "end"], [0, -12, "middle"], [0, 22, "middle"], [9, -10, "start"], [9, 18, "start"], [-9, -10, "end"], [-9, 18, "end"], [14, 32, "start"], [14, -24, "start"]]) {
		const left = x + dx - (anchor === "end" ? width : anchor === "middle" ? width / 2 : 0), box = [left, y + dy - 11, left + width, y + dy + 3];
		const over = taken.reduce((sum, t) => sum + Math.max(0, Math.min(box[2], t[2]) - Math.max(box[0], t[0])) * Math.max(0, Math.min(box[3], t[3]) - Math.max(box[1], t[1])), 0) + (box[0] < 0 || box[2] > W ? 1e6 : 0);
		if (over < least) { least = over; best = [[x + dx, y + dy, anchor], box]; }
	}
	taken.push(best[1]);
	return best[0];
}

/* points: {x, y, name, lossy}, joined in the order of the passes. */
function scatter(points, x_name, y_name, show_x, show_y) {
	const W = 520, H = 320, left = 62, right = 24, top = 18, bottom = 44;
	const range = key => { const all = points.map(p => p[key]), low = Math.min(...all), high = Math.max(...all), pad = (high - low || Math.abs(high) || 1) * .12; return [low - pad, high + pad]; };
	const [x0, x1] = range("x"), [y0, y1] = range("y");
	const X = v => left + (v - x0) / (x1 - x0) * (W - left - right), Y = v => H - bottom - (v - y0) / (y1 - y0) * (H - top - bottom);
	const picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": y_name + " against " + x_name + ", a point a pass" });
	for (const t of ticks(y0, y1)) picture.append(svg("line", { class: "grid", x1: left, x2: W - right, y1: Y(t), y2: Y(t) }), svg("text", { class: "soft", x: left - 8, y: Y(t) + 4, "text-anchor": "end", text: show_y(t) }));
	for (const t of ticks(x0, x1)) picture.append(svg("line", { class: "grid", y1: top, y2: H - bottom, x1: X(t), x2: X(t) }), svg("text", { class: "soft", x: X(t), y: H - bottom + 18, "text-anchor": "middle", text: show_x(t) }));
	picture.append(svg("text", { class: "soft", x: W - right, y: H - 6, "text-anchor": "end", text: x_name }), svg("text", { class: "soft", x: 4, y: 12, text: y_name }),
		svg("path", { class: "path", d: points.map((p, i) => (i ? "L" : "M") + X(p.x) + " " + Y(p.y)).join(" ") }));
	const taken = points.map(p => [X(p.x) - 8, Y(p.y) - 8, X(p.x) + 8, Y(p.y) + 8]);
	for (const p of points) {
		const [x, y, anchor] = free_place(X(p.x), Y(p.y), p.name.length * 6.6, W, taken);
		picture.append(svg("circle", { class: p.lossy ? "dot lossy" : "dot", cx: X(p.x), cy: Y(p.y), r: 6 }, svg("title", { text: `${p.name}: ${show_y(p.y)}, ${show_x(p.x)}` })),
			svg("text", { x, y, "text-anchor": anchor, text: p.name }));
	}
	return picture;
}

/* A bar a row: rows {name, value, text, lossy}. */
function bars(rows, label) {
	const H = 24, W = 520, left = 150, most = Math.max(...rows.map(r => r.value), 1e-12);
	return svg("svg", { viewBox: `0 0 ${W} ${rows.length * H + 4}`, role: "img", "aria-label": label }, rows.map((r, i) => [
		svg("text", { x: left - 8, y: i * H + 16, "text-anchor": "end", text: r.name.length > 20 ? r.name.slice(0, 19) + "…" : r.name }),
		svg("rect", { class: "rail", x: left, y: i * H + 4, width: W - left - 90, height: H - 8, rx: 3 }),
		svg("rect", { class: "bar", x: left, y: i * H + 4, width: Math.max(0, r.value / most) * (W - left - 90), height: H - 8, rx: 3 }),
		svg("text", { x: W - 84, y: i * H + 16, text: r.text })]));
}

panel("ledger", "Accuracy, size, time", (ledger, section) => {
	const kept = [{ ...ledger.start, pass: "as read" }, ...ledger.passes.filter(row => row.changes)];
	/* what changes neither score nor time moves weights about, and would be one more point on top of another */
	const points = (x, y) => kept.filter((row, i) => !i || row.score !== kept[i - 1].score || row.latency_ms !== kept[i - 1].latency_ms).map(row => ({ x: row[x], y: row[y], name: parse_pass(row.pass)[0], lossy: row.lossy }));
	const charts = node("div", { class: "charts" });
	section.append(charts);
	if (ledger.start.score !== undefined) {
		charts.append(node("div", null, node("h3", { text: "against bytes of weights" }), scatter(points("weight_bytes", "score"), "weights", ledger.metric, bytes, v => (100 * v).toFixed(1) + " %")));
		if (ledger.start.latency_ms !== undefined)
			charts.append(node("div", null, node("h3", { text: "against time" }), scatter(points("latency_ms", "score"), "ms a text, one thread", ledger.metric, v => v.toFixed(2), v => (100 * v).toFixed(1) + " %")));
	}
	const rows = (key, show) => kept.filter((row, i) => !i || row[key] !== kept[i - 1][key]).map(row => ({ name: parse_pass(row.pass)[0], value: row[key], text: show(row[key]) }));
	charts.append(node("div", null, node("h3", { text: "weights after each pass that changed them" }), bars(rows("weight_bytes", bytes), "bytes of weights after each pass")),
		node("div", null, node("h3", { text: "multiply-adds at 128 tokens" }), bars(rows("macs_128", count), "multiply-adds after each pass")));
});

/* ---- layers ---- */
panel("layers", "Layers", (data, section) => {
	if (data.why) return void section.append(node("p", { text: "Nothing to see here: " + data.why }));
	section.append(node("p", { text: `Of the model as it was read, over ${data.texts} texts. A layer whose output is like its input (cosine near 1) turns little; one without which the outputs turn far (cosine near 0 or below) is needed.` }));
	const named = (key, show) => data.layers.filter(l => l[key] !== undefined).map(l => ({ name: "layer " + l.number, value: show(l), text: l[key].toFixed(4) }));
	const charts = node("div", { class: "charts" });
	section.append(charts);
	charts.append(node("div", null, node("h3", { text: "how far it turns its input at [CLS] (bar: 1 − cosine)" }), bars(named("cosine_first", l => 1 - l.cosine_first), "cosine of input and output at the first token")),
		node("div", null, node("h3", { text: "the same over all tokens" }), bars(named("cosine_all", l => 1 - l.cosine_all), "cosine of input and output over all tokens")));
	if (data.layers.some(l => l.without !== undefined))
		charts.append(node("div", null, node("h3", { text: "sensitivity: outputs without it (bar: 1 − cosine)" }), bars(named("without", l => 1 - l.without), "cosine of the outputs with and without the layer")));
});

/* ---- attention ---- */
function attention_map(layer, head, tokens) {
	const n = tokens.length, size = 20, left = 90, top = 86;
	const picture = svg("svg", { class: "map", viewBox: `0 0 ${left + n * size + 50} ${top + n * size + 4}`, width: left + n * size + 50, role: "img", "aria-label": `layer ${layer.number}, head ${head}: who looks at whom` });
	tokens.forEach((token, i) => picture.append(svg("text", { x: left - 6, y: top + i * size + 14, "text-anchor": "end", text: token.slice(0, 12) }),
		svg("text", { transform: `translate(${left + i * size + 13} ${top - 6}) rotate(-60)`, text: token.slice(0, 12) })));
	layer.map[head].forEach((mass, i) => mass && picture.append(svg("rect", { class: "cell", x: left + i % n * size, y: top + Math.floor(i / n) * size, width: size - 1, height: size - 1, "fill-opacity": Math.min(1, mass / 60 + .04) },
		svg("title", { text: `${tokens[Math.floor(i / n)]} looks at ${tokens[i % n]}: ${mass} %` }))));
	return picture;
}

panel("layers", "Attention", (data, section) => {
	if (data.why || !data.layers.some(l => l.heads.length)) return void section.append(node("p", { text: "No attention that could be looked into. " + (data.why || "") }));
	const shown = node("div", { class: "scroll", "aria-live": "polite" });
	section.append(node("p", { text: "Where each head's attention goes, in shares of its mass: to [CLS], to [SEP], else by distance. Press a head to see one text in full." }),
		node("div", { class: "legend" }, data.kinds.map((kind, k) => node("span", null, node("i", { vars: { c: `var(--k${k})` } }), kind))), shown);
	const press = (button, layer, head) => {
		section.querySelectorAll(".head").forEach(other => other.setAttribute("aria-pressed", String(other === button)));
		shown.replaceChildren(node("h3", { text: `layer ${layer.number}, head ${head}: rows look at columns` }), layer.map ? attention_map(layer, head, data.tokens) : node("p", { text: "No text was short enough to draw." }));
	};
	const heads = node("div", { class: "heads" });
	for (const layer of data.layers) heads.append(node("div", null, node("h3", { text: "layer " + layer.number }), layer.heads.map((mass, head) => {
		const said = mass.map((m, k) => data.kinds[k] + " " + Math.round(100 * m) + " %").join(", ");
		const button = node("button", { type: "button", class: "head", "aria-pressed": "false", title: said, "aria-label": `layer ${layer.number} head ${head}: ${said}`, on: { click: () => press(button, layer, head) } },
			node("span", { text: head }), node("span", { class: "stack" }, mass.map((m, k) => node("i", { vars: { c: `var(--k${k})`, w: (100 * m).toFixed(2) + "%" } }))));
		return button;
	})));
	section.append(heads);
});

/* ---- the page ---- */
function draw_page() {
	const model = block("model"), ledger = block("ledger"), main = node("main"), links = node("nav", { "aria-label": "panels" });
	panels.forEach((p, i) => {
		const data = block(p.key);
		if (!data) return;
		const id = "panel-" + i, section = node("section", { id, "aria-labelledby": id + "-title" }, node("h2", { id: id + "-title", text: p.title }));
		main.append(section);
		links.append(node("a", { href: "#" + id, text: p.title }));
		p.draw(data, section);
	});
	document.body.append(draw_head(model, ledger), links, main);
}
document.addEventListener("DOMContentLoaded", draw_page);
