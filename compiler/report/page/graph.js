/* graph.js: panels that show the model after one pass: its kernels, and the graph of a layer. */
"use strict";

/* ---- kernels ---- */
panel("columns", "Kernels", (data, section) => {
	const used = new Map();
	for (const line of all_columns[all_columns.length - 1].lines) {
		const kernel = /kernel="([^"]*)"/.exec(line.attributes);
		if (kernel) {
			const row = used.get(kernel[1]) || { op: line.op, lines: [] };
			row.lines.push(line);
			used.set(kernel[1], row);
		}
	}
	if (!used.size)
		return void section.append(
			node("p", { text: "The pipeline has no pass lower, so no kernels are chosen." }),
		);
	section.append(
		node("p", { text: "The kernels that lower chose for this CPU, with the number of ops." }),
		table(
			"words",
			["kernel", "op", "ops", "results"],
			[...used].map(([kernel, row]) => {
				const types = [...new Set(row.lines.map(l => l.type.split(", ")[0]))];
				return cells([
					node("td", { class: "mono", text: kernel }),
					row.op,
					row.lines.length,
					node("td", { class: "mono", text: types.slice(0, 6).join(" ") }),
				]);
			}),
		),
	);
});

/* ---- the graph of a layer ---- */
/* Places ops in rows by their longest path from the inputs; within a row, near the ops that they read. */
function layout(lines) {
	const ops = lines.filter(l => l.op && l.op !== "const" && l.op !== "graph" && l.op !== "return"),
		at = new Map(),
		rows = [];
	const add = (box, depth) => {
		box.depth = depth;
		(rows[depth] = rows[depth] || []).push(box);
		box.results.forEach(r => at.set(r, box));
		return box;
	};
	const inside = new Set(ops.flatMap(l => l.results)),
		constants = new Map(lines.filter(l => l.op === "const").flatMap(l => l.results.map(r => [r, l])));
	for (const line of ops)
		for (const arg of line.args)
			if (!inside.has(arg) && !constants.has(arg) && !at.has(arg))
				add({ value: arg, op: arg, note: "from outside", results: [arg], from: [] }, 0);
	for (const line of ops) {
		const from = [...new Set(line.args.map(a => at.get(a)).filter(Boolean))],
			weights = line.args.map(a => constants.get(a)).filter(c => c && c.type.includes(","));
		add(
			{
				value: line.results[0],
				op: line.op,
				note: line.type.split(", ")[0],
				extra: weights.map(w => w.type).join(" "),
				results: line.results,
				from,
				inner: true,
				title: line.text.trim(),
			},
			from.length ? Math.max(...from.map(f => f.depth)) + 1 : 0,
		);
	}
	return rows.filter(Boolean);
}
function place(rows, width, step) {
	for (const row of rows) {
		row.forEach((box, i) => {
			box.want = box.from.length ? box.from.reduce((s, f) => s + f.x, 0) / box.from.length : i * width;
		});
		row.sort((a, b) => a.want - b.want);
		row.forEach((box, i) => {
			box.x = i ? Math.max(box.want, row[i - 1].x + width) : box.want;
		});
		const shift = row.reduce((s, b) => s + b.want - b.x, 0) / row.length;
		row.forEach(box => {
			box.x += shift;
			box.y = box.depth * step;
		});
	}
	const all = rows.flat(),
		low = Math.min(...all.map(b => b.x));
	all.forEach(box => {
		box.x -= low - 6;
		box.y += 6;
	});
	return all;
}
function draw_graph(lines) {
	const W = 208,
		H = 42,
		all = place(layout(lines), W + 22, H + 30);
	/* an edge over several rows goes around the boxes between */
	const beside = (from, box) =>
		Math.max(
			Math.min(from.x, box.x) + W / 2,
			...all
				.filter(b => b.depth > from.depth && b.depth < box.depth)
				.map(b => b.x + W + 10 + 5 * Math.min(6, box.depth - from.depth)),
		);
	const right = Math.max(...all.map(b => b.x)) + W + 52,
		bottom = Math.max(...all.map(b => b.y)) + H + 6;
	const picture = svg("svg", {
		class: "picture",
		viewBox: `0 0 ${right} ${bottom}`,
		width: right,
		height: bottom,
		role: "group",
		"aria-label": "graph of the ops",
	});
	picture.append(
		svg(
			"defs",
			null,
			svg(
				"marker",
				{
					id: "tip",
					viewBox: "0 0 8 8",
					refX: 7,
					refY: 4,
					markerWidth: 7,
					markerHeight: 7,
					orient: "auto",
				},
				svg("path", { d: "M0 0L8 4L0 8z", fill: "context-stroke" }),
			),
		),
	);
	for (const box of all)
		for (const from of box.from) {
			const far = box.depth - from.depth > 1,
				X = far ? beside(from, box) : 0,
				lean = far ? Math.sign(X - box.x - W / 2) * W * 0.3 : 0;
			const x0 = from.x + W / 2 + (far && X > from.x + W / 2 ? W * 0.3 : 0),
				y0 = from.y + H,
				x1 = box.x + W / 2 + lean,
				y1 = box.y - 2,
				bend = Math.max(14, (y1 - y0) / 2);
			picture.append(
				svg("path", {
					class: "edge",
					"marker-end": "url(#tip)",
					d: far
						? `M${x0} ${y0}C${x0} ${y0 + 30} ${X} ${y0 + 6} ${X} ${y0 + 46}L${X} ` +
							`${y1 - 46}C${X} ${y1 - 6} ${x1} ${y1 - 30} ${x1} ${y1}`
						: `M${x0} ${y0}C${x0} ${y0 + bend} ${x1} ${y1 - bend} ${x1} ${y1}`,
				}),
			);
		}
	for (const box of all) {
		const at = svg(
			"g",
			{
				class: "node" + (box.inner ? " inner" : ""),
				tabindex: "0",
				role: "button",
				"data-v": box.value,
				transform: `translate(${box.x} ${box.y})`,
				"aria-label": `${box.op} ${box.value} ${box.note}`,
			},
			svg("title", { text: box.title || box.value }),
			svg("rect", { width: W, height: H, rx: 8 }),
			svg("text", { x: 10, y: 18, "font-weight": 650, text: box.op }),
			svg("text", {
				class: "soft",
				x: W - 10,
				y: 18,
				"text-anchor": "end",
				text: box.inner ? box.value : "",
			}),
			svg("text", {
				class: "soft",
				x: 10,
				y: 34,
				text: box.note + (box.extra ? " · " + box.extra : ""),
			}),
		);
		at.querySelectorAll("text")[2].textContent = at.querySelectorAll("text")[2].textContent.slice(0, 32);
		at.addEventListener("keydown", e => {
			if (e.key === "Enter" || e.key === " ") {
				e.preventDefault();
				toggle(box.value);
			}
		});
		picture.append(register(box.value, at));
	}
	return picture;
}
panel("columns", "A layer's graph", (data, section) => {
	const shown = node("div", { class: "scroll" });
	const which = node(
		"select",
		{ "aria-label": "after which pass" },
		all_columns.map(c =>
			node("option", { value: c.index, text: c.index ? "after " + c.title : c.title }),
		),
	);
	const part = node("select", { "aria-label": "which part" });
	const draw = () => {
		const group = all_columns[which.value].groups.filter(g => g.key === part.value);
		shown.replaceChildren(
			group.length
				? draw_graph(group.flatMap(g => g.lines))
				: node("p", { text: "This part does not exist after this pass." }),
		);
	};
	const keys = [...new Set(all_columns.flatMap(c => c.groups.map(g => g.key)))].filter(
		k => !/^(module|graph|return|inputs)$/.test(k),
	);
	keys.forEach(k => part.append(node("option", { value: k, text: k })));
	part.value = keys.find(k => k.startsWith("layer ")) || keys[0] || "";
	const fused = all_columns.find(c => c.title === "fuse");
	if (fused) which.value = fused.index;
	which.addEventListener("change", draw);
	part.addEventListener("change", draw);
	section.append(
		node("p", { text: "Weights are shown in the ops that read them. Click an op to follow its value." }),
		node("div", { class: "tools" }, part, which),
		shown,
	);
	if (keys.length) draw();
});
