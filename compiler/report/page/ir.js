/* ir.js: the IR in one column per pass, with values highlighted across columns; the emitted C. Layers
 * are drawn only when they are unfolded, so that a page of many layers opens fast. */
"use strict";

const HIGHLIGHTS = 6;
const highlighted = new Map(); /* value -> number of its colour */
const spelled = new Map(); /* value -> elements that show it */
const all_columns = [];

function highlight_class(value) {
	return highlighted.has(value) ? "hl" + highlighted.get(value) : "";
}
function paint(value) {
	for (const at of spelled.get(value) || []) {
		for (let i = 0; i < HIGHLIGHTS; i++) at.classList.remove("hl" + i);
		if (highlighted.has(value)) at.classList.add(highlight_class(value));
		if (at.classList.contains("node")) at.classList.toggle("on", highlighted.has(value));
	}
}
/* There are six colours. A seventh value takes the colour of the value highlighted first. */
function toggle(value) {
	if (highlighted.has(value)) highlighted.delete(value);
	else {
		const used = new Set(highlighted.values()),
			free = [...Array(HIGHLIGHTS).keys()].find(i => !used.has(i));
		const oldest = free === undefined ? highlighted.entries().next().value : null;
		if (oldest) {
			highlighted.delete(oldest[0]);
			paint(oldest[0]);
		}
		highlighted.set(value, free === undefined ? oldest[1] : free);
	}
	paint(value);
}
function clear_highlights() {
	const values = [...highlighted.keys()];
	highlighted.clear();
	values.forEach(paint);
}
function register(value, at) {
	if (!spelled.has(value)) spelled.set(value, []);
	spelled.get(value).push(at);
	if (highlighted.has(value)) {
		at.classList.add(highlight_class(value));
		if (at.classList.contains("node")) at.classList.add("on");
	}
	return at;
}

/* ---- a line of .bir ---- */
const TOKEN = /("(?:[^"\\]|\\.)*")|(%[A-Za-z0-9_.-]+)|(#.*$)/g;
function parse_line(text) {
	const line = { text, results: [], args: [], op: "", origin: "", type: "", attributes: "" };
	let body = text.trim();
	const bare = body.replace(/"(?:[^"\\]|\\.)*"/g, s => "\u0001".repeat(s.length)),
		hash = bare.lastIndexOf("  # ");
	if (hash >= 0) {
		line.origin = body.slice(hash + 4);
		body = body.slice(0, hash);
	}
	const made = /^((?:%[A-Za-z0-9_.-]+(?:, )?)+) = ([a-z_0-9]+)/.exec(body),
		find = s => s.match(/%[A-Za-z0-9_.-]+/g) || [];
	const quiet = body.replace(/"(?:[^"\\]|\\.)*"/g, "");
	if (made) {
		line.results = find(made[1]);
		line.op = made[2];
		line.args = find(quiet.slice(made[0].length));
		const colon = body.lastIndexOf(" : ");
		line.type = colon < 0 ? "" : body.slice(colon + 3);
		line.attributes = (/\{(.*)\}/.exec(body) || ["", ""])[1];
	} else if (/^return\b/.test(body)) {
		line.op = "return";
		line.args = find(quiet);
	} else if (/^graph\b/.test(body)) {
		line.op = "graph";
		line.results = find(quiet);
	}
	return line;
}
function value_span(value) {
	return register(value, node("span", { class: "v", "data-v": value, text: value }));
}
function draw_tokens(line, into) {
	let at = 0;
	for (const found of line.text.matchAll(TOKEN)) {
		into.append(line.text.slice(at, found.index));
		if (found[2]) into.append(value_span(found[2]));
		else
			into.append(
				node("span", {
					class: found[3]
						? "origin"
						: /kernel=$/.test(line.text.slice(0, found.index))
							? "kernel"
							: null,
					text: found[0],
				}),
			);
		at = found.index + found[0].length;
	}
	into.append(line.text.slice(at));
}

/* ---- columns ---- */
/* Groups lines by the layer in their origin. A constant without an origin joins the group before it. */
function group_lines(lines) {
	const groups = [];
	for (const line of lines) {
		const layer = /^layer\.(\d+)\./.exec(line.origin),
			part = layer ? "layer " + layer[1] : line.origin.split(".")[0];
		const last = groups[groups.length - 1];
		const key =
			line.op === "graph"
				? "graph"
				: line.op === "return"
					? "return"
					: !line.op
						? (last && last.key) || "module"
						: part || (last && last.key !== "graph" ? last.key : "inputs");
		if (!last || last.key !== key) groups.push({ key, layer: layer ? layer[1] : null, lines: [line] });
		else last.lines.push(line);
	}
	return groups;
}
/* Marks lines that do not contribute to a result of the graph. */
function mark_dead(lines) {
	let live = new Set();
	for (let i = lines.length - 1; i >= 0; i--) {
		const line = lines[i];
		if (line.op === "return") live = new Set();
		if (line.op === "graph" || !line.op) continue;
		line.dead = line.op !== "return" && !line.results.some(r => live.has(r));
		if (!line.dead) line.args.forEach(a => live.add(a));
	}
}
function compare(lines, before) {
	const was = new Map(before ? before.map(l => [l.results[0], l.text]) : []);
	for (const line of lines) {
		if (!before || !line.results.length || line.op === "graph") continue;
		const text = was.get(line.results[0]);
		line.state = text === undefined ? "new" : text === line.text ? "" : "changed";
	}
	const now = new Set(lines.flatMap(l => l.results));
	return {
		fresh: lines.filter(l => l.state === "new").length,
		changed: lines.filter(l => l.state === "changed").length,
		gone: before ? before.filter(l => l.results.length && !now.has(l.results[0])).length : 0,
		dead: lines.filter(l => l.dead).length,
	};
}

function draw_line(line, query) {
	const at = node("div", {
		class: [
			"line",
			"code",
			line.state,
			line.dead && "dead",
			query && line.text.toLowerCase().includes(query) && "hit",
		]
			.filter(Boolean)
			.join(" "),
		role: "listitem",
		tabindex: "-1",
	});
	at.bertc_line = line;
	draw_tokens(line, at);
	return at;
}
function open_group(group, open) {
	group.button.setAttribute("aria-expanded", String(open));
	group.body.hidden = !open;
	if (open && !group.drawn) {
		group.drawn = true;
		group.body.append(...group.lines.map(l => draw_line(l, search_text())));
	}
}
function summary(group) {
	const n = key => group.lines.filter(l => l.state === key).length,
		dead = group.lines.filter(l => l.dead).length;
	return [
		group.lines.length + (group.lines.length === 1 ? " line" : " lines"),
		n("new") && "+" + n("new"),
		n("changed") && "~" + n("changed"),
		dead && dead + " dead",
	]
		.filter(Boolean)
		.join("  ");
}
function draw_column(column, first_layer) {
	const list = node("div", {
		class: "lines",
		role: "list",
		tabindex: "0",
		"aria-label": "IR after " + column.title,
	});
	for (const group of column.groups) {
		group.body = node("div", { hidden: true });
		group.button = node(
			"button",
			{
				type: "button",
				"aria-expanded": "false",
				on: { click: () => open_group(group, group.body.hidden) },
			},
			group.key + " ",
			node("small", { text: summary(group) }),
		);
		list.append(node("div", { class: "group" }, group.button, group.body));
		if (group.layer === null || group.layer === first_layer) open_group(group, true);
	}
	column.list = list;
	const c = column.change,
		said = column.index
			? [
					c.fresh && c.fresh + " new",
					c.changed && c.changed + " changed",
					c.gone && c.gone + " gone",
					c.dead && c.dead + " dead",
				]
					.filter(Boolean)
					.join(", ")
			: column.lines.length + " lines";
	return (column.element = node(
		"div",
		{ class: "column", "data-column": column.index },
		node(
			"h3",
			null,
			column.title,
			node("small", {
				text: said + (column.same.length ? " · unchanged by " + column.same.join(", ") : ""),
			}),
			column.cost && node("small", { class: column.cost_class, text: column.cost }),
		),
		list,
	));
}

/* "cosine 0.9999, weights −27.5 %": the cost of the passes of a column, from the ledger. */
function column_cost(passes, ledger) {
	const parts = [];
	let style = "";
	for (const i of passes) {
		const row = ledger.passes[i],
			before = i > 0 ? ledger.passes[i - 1] : ledger.start;
		if (!row) continue;
		const weights = percent(row.weight_bytes, before.weight_bytes);
		if (row.lossy && row.cosine !== undefined) {
			parts.push("cosine " + row.cosine.toFixed(5));
			style = cosine_class(row.cosine);
		}
		if (row.score !== undefined && row.score !== before.score)
			parts.push(signed(100 * (row.score - before.score), 2) + " points");
		if (weights) parts.push("weights " + weights);
	}
	return [parts.join(", "), style];
}
function prepare_columns(data, ledger) {
	data.forEach((raw, index) => {
		const name = i => (i < 0 ? "original" : parse_pass(ledger.passes[i].pass)[0]);
		const lines = raw.lines.map(parse_line),
			before = index ? all_columns[index - 1].lines : null;
		mark_dead(lines);
		const [cost, cost_class] = column_cost(raw.passes, ledger);
		all_columns.push({
			index,
			lines,
			passes: raw.passes,
			title: name(raw.passes[0]),
			same: raw.passes.slice(1).map(name),
			change: compare(lines, before),
			groups: group_lines(lines),
			cost,
			cost_class,
		});
	});
}
function show_column(pass) {
	const column = all_columns.find(c => c.passes.includes(pass));
	if (!column) return;
	column.element.scrollIntoView({ block: "center", inline: "start" });
	column.list.focus({ preventScroll: true });
}

/* ---- search ---- */
let search_box = null;
function search_text() {
	return search_box ? search_box.value.trim().toLowerCase() : "";
}
function run_search(said) {
	const query = search_text();
	let hits = 0,
		first = null;
	for (const column of all_columns)
		for (const group of column.groups) {
			const found = query ? group.lines.filter(l => l.text.toLowerCase().includes(query)).length : 0;
			hits += found;
			if (found && group.body.hidden) open_group(group, true);
			for (const at of group.drawn ? group.body.children : []) {
				const hit = query !== "" && at.bertc_line.text.toLowerCase().includes(query);
				at.classList.toggle("hit", hit);
				if (hit && !first) first = at;
			}
		}
	said.textContent = query ? hits + (hits === 1 ? " line" : " lines") : "";
	if (first) first.scrollIntoView({ block: "nearest" });
	return first;
}

/* ---- keyboard: up and down move by lines, left and right by columns; Enter highlights the value ---- */
function visible_lines(column) {
	return [...column.list.querySelectorAll(".line")].filter(at => !at.parentNode.hidden);
}
function move_line(column, from, step) {
	const lines = visible_lines(column),
		at = lines.indexOf(from);
	const to =
		lines[
			at < 0 ? (step > 0 ? 0 : lines.length - 1) : Math.min(lines.length - 1, Math.max(0, at + step))
		];
	if (to) to.focus();
}
/* Moves to the line with the same value in the next column, if there is one. */
function move_column(column, from, step) {
	const next = all_columns[column.index + step];
	if (!next) return;
	const wanted = from && from.bertc_line ? from.bertc_line.results[0] : null;
	const twin = wanted && visible_lines(next).find(at => at.bertc_line.results.includes(wanted));
	next.element.scrollIntoView({ block: "nearest", inline: "nearest" });
	(twin || next.list).focus();
}
function on_key(event) {
	const at = event.target,
		holder = at.closest(".column[data-column]"),
		column = holder && all_columns[Number(holder.dataset.column)];
	if (!column || event.altKey || event.ctrlKey || event.metaKey) return;
	const line = at.classList.contains("line") ? at : null;
	const keys = {
		ArrowDown: () => move_line(column, line, 1),
		ArrowUp: () => move_line(column, line, -1),
		ArrowRight: () => move_column(column, line, 1),
		ArrowLeft: () => move_column(column, line, -1),
		Enter: () => line && line.bertc_line.results.slice(0, 1).forEach(toggle),
		" ": () => line && line.bertc_line.results.slice(0, 1).forEach(toggle),
	};
	if (!keys[event.key] || (at.tagName === "BUTTON" && (event.key === "Enter" || event.key === " "))) return;
	event.preventDefault();
	keys[event.key]();
}

/* ---- the emitted C ---- */
function draw_code(code) {
	const list = node("div", { class: "lines", role: "list", tabindex: "0", "aria-label": "emitted C" });
	code.functions.forEach(lines =>
		lines.forEach(text => {
			const made = /\/\* v(\d+) (.*)\*\/\s*$/.exec(text),
				at = node("div", { class: "line code", role: "listitem", tabindex: "-1" });
			at.append(made ? text.slice(0, made.index) : text);
			if (made)
				at.append(
					node("span", { class: "origin", text: "/* " }),
					register(
						"%" + made[1],
						node("span", { class: "v", "data-v": "%" + made[1], text: "v" + made[1] }),
					),
					node("span", { class: "origin", text: " " + made[2] + "*/" }),
				);
			list.append(at);
		}),
	);
	return node(
		"div",
		{ class: "column" },
		node(
			"h3",
			null,
			"emitted C",
			node("small", { text: "the function of the graph; the whole file: " + bytes(code.bytes) }),
		),
		list,
	);
}

panel("columns", "IR, pass by pass", (data, section) => {
	prepare_columns(data, block("ledger"));
	const said = node("span", { class: "soft", "aria-live": "polite" }),
		first = all_columns[0].groups.find(g => g.layer !== null);
	search_box = node("input", {
		type: "search",
		placeholder: "search the IR ( / )",
		"aria-label": "search the IR",
	});
	search_box.addEventListener("input", () => run_search(said));
	search_box.addEventListener("keydown", e => {
		if (e.key === "Enter") {
			const hit = run_search(said);
			if (hit) hit.focus();
		}
	});
	const holder = node(
		"div",
		{ class: "columns", on: { keydown: on_key } },
		all_columns.map(c => draw_column(c, first ? first.layer : null)),
		draw_code(block("code")),
	);
	section.append(
		node(
			"p",
			null,
			"Click a value to follow it through all columns. Green lines are new in their column, " +
				"yellow lines are changed, struck-out lines do not contribute to a result. Keys: ",
			node("b", { text: "← →" }),
			" column, ",
			node("b", { text: "↑ ↓" }),
			" line, ",
			node("b", { text: "Enter" }),
			" highlight, ",
			node("b", { text: "/" }),
			" search, ",
			node("b", { text: "Esc" }),
			" clear.",
		),
		node(
			"div",
			{ class: "tools" },
			search_box,
			node("button", {
				type: "button",
				text: "open all layers",
				on: { click: () => all_columns.forEach(c => c.groups.forEach(g => open_group(g, true))) },
			}),
			node("button", {
				type: "button",
				text: "fold layers",
				on: {
					click: () =>
						all_columns.forEach(c =>
							c.groups.forEach(g => g.layer !== null && open_group(g, false)),
						),
				},
			}),
			node("button", { type: "button", text: "clear highlights", on: { click: clear_highlights } }),
			said,
		),
		holder,
	);
});
document.addEventListener("click", event => {
	const at = event.target.closest && event.target.closest("[data-v]");
	if (at) toggle(at.dataset.v);
});
document.addEventListener("keydown", event => {
	const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
	if (event.key === "/" && !typing && search_box) {
		event.preventDefault();
		search_box.focus();
	}
	if (event.key === "Escape") {
		clear_highlights();
		if (typing) event.target.blur();
	}
});
