/* probes.js: panels of what is measured inside a model: attention heads, neurons against the tags of words,
 * exits against a threshold. */
"use strict";

/* ---- heads ---- */
/* A number a head: a row a layer, darker for larger values. */
function head_table(layers, key, digits) {
	const most = Math.max(...layers.flatMap(l => l[key]), 1e-12),
		wide = Math.max(...layers.map(l => l[key].length));
	const mean = l => l[key].reduce((a, b) => a + b, 0) / l[key].length;
	const heads = [...Array(wide).keys()];
	return table(
		"heat",
		["layer", ...heads, "mean"],
		layers.map(l =>
			cells([
				node("th", { scope: "row", text: l.number }),
				...heads.map(h =>
					l[key][h] === undefined
						? node("td")
						: node("td", {
								vars: { share: Math.max(0, l[key][h] / most).toFixed(3) },
								title: `head ${l.number}.${h}: ${l[key][h].toPrecision(4)}`,
								text: l[key][h].toFixed(digits),
							}),
				),
				node("td", { class: "soft", text: mean(l).toFixed(digits) }),
			]),
		),
	);
}

panel("layers", "Heads", (data, section) => {
	const layers = data.why ? [] : data.layers.filter(l => l.heads.length);
	if (!layers.length)
		return void section.append(
			node("p", { text: "No attention that could be looked into. " + (data.why || "") }),
		);
	const by = {
		activation: "how much it says to the rest of its layer on these texts",
		magnitude: "how much its weights let it say",
	}[data.importance_by];
	section.append(
		node("p", {
			text:
				`Each head over ${data.texts} texts: how spread its attention is (entropy in nats: 0 ` +
				"looks at one token, the logarithm of the length at all alike), how far it looks " +
				"(tokens)" +
				(by
					? `, and its importance, ${by}, as prune-heads{by=${data.importance_by}} ranks heads.`
					: "."),
		}),
	);
	const tables = node(
		"div",
		{ class: "charts" },
		node("div", null, node("h3", { text: "entropy of attention" }), head_table(layers, "entropy", 2)),
		node("div", null, node("h3", { text: "distance" }), head_table(layers, "distance", 1)),
	);
	if (by) {
		const most = Math.max(...layers.flatMap(l => l.importance), 1e-300),
			shares = layers.map(l => ({ ...l, importance: l.importance.map(v => (100 * v) / most) }));
		tables.append(
			node(
				"div",
				null,
				node("h3", { text: "importance (of 100)" }),
				head_table(shares, "importance", 0),
			),
		);
	}
	section.append(tables);
});

/* ---- neurons ---- */
const CELL_WIDTH = 3,
	CELL_HEIGHT = 14;

/* A row a tag, a column a neuron: weights above 0 in one colour, below in the other, by the root, for most
 * are small. */
function draw_weights(canvas, data, layer) {
	const pen = canvas.getContext("2d"),
		style = getComputedStyle(document.documentElement),
		colour = [style.getPropertyValue("--warn"), style.getPropertyValue("--accent")];
	pen.clearRect(0, 0, canvas.width, canvas.height);
	data.weights.forEach((weights, tag) => {
		for (let i = 0; i < data.width; i++) {
			const weight = weights[layer * data.width + i];
			if (!weight) continue;
			pen.fillStyle = colour[+(weight > 0)];
			pen.globalAlpha = Math.sqrt(Math.abs(weight) / 100);
			pen.fillRect(i * CELL_WIDTH, tag * CELL_HEIGHT, CELL_WIDTH, CELL_HEIGHT - 1);
		}
	});
}

/* The heat map of a layer; what is pointed at, or walked to with the arrow keys, is said below it. */
function weight_map(data, ranks, layer) {
	const number = data.layers[layer],
		canvas = node("canvas", {
			width: data.width * CELL_WIDTH,
			height: data.tags.length * CELL_HEIGHT,
			tabindex: 0,
			role: "img",
			"aria-label":
				`layer ${number}: weights of ${data.width} neurons for ${data.tags.length} tags; arrow ` +
				"keys walk",
		});
	const said = node("div", { class: "soft said", "aria-live": "polite", text: "\u00a0" }),
		mark = node("i", { class: "mark", hidden: true });
	let at = [0, 0];
	const show = (neuron, tag) => {
		at = [
			Math.min(Math.max(neuron, 0), data.width - 1),
			Math.min(Math.max(tag, 0), data.tags.length - 1),
		];
		const n = layer * data.width + at[0],
			weight = (data.weights[at[1]][n] * data.largest) / 100;
		mark.hidden = false;
		mark.style.left = at[0] * CELL_WIDTH + "px";
		mark.style.top = at[1] * CELL_HEIGHT + "px";
		said.textContent =
			`neuron ${number}.${at[0]}, ${data.tags[at[1]]}: ${weight ? signed(weight, 3) : "0"}; number ` +
			`${ranks[n] + 1} of ${ranks.length}`;
	};
	canvas.addEventListener("pointermove", e =>
		show(Math.floor(e.offsetX / CELL_WIDTH), Math.floor(e.offsetY / CELL_HEIGHT)),
	);
	canvas.addEventListener("keydown", e => {
		const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
		if (!step) return;
		e.preventDefault();
		show(at[0] + step[0], at[1] + step[1]);
		const scroll = canvas.closest(".scroll"),
			x = at[0] * CELL_WIDTH;
		if (x < scroll.scrollLeft || x > scroll.scrollLeft + scroll.clientWidth - 90)
			scroll.scrollLeft = x - scroll.clientWidth / 2;
	});
	draw_weights(canvas, data, layer);
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
		draw_weights(canvas, data, layer),
	);
	return node(
		"div",
		{ class: "weights" },
		node("h3", { text: "layer " + number }),
		node(
			"div",
			{ class: "map-row" },
			node(
				"div",
				{ class: "tags", "aria-hidden": "true" },
				data.tags.map(tag => node("span", { text: tag, title: tag })),
			),
			node("div", { class: "scroll" }, node("div", { class: "sheet" }, canvas, mark)),
		),
		said,
	);
}

/* The first neurons of the ranking: its name, and the tag for which it weighs most. */
function neuron_table(data, count) {
	return table(
		"words",
		["neuron", "weight", "tag"],
		data.order.slice(0, count).map(n => {
			const tag = data.weights.reduce(
				(best, w, k) => (Math.abs(w[n]) > Math.abs(data.weights[best][n]) ? k : best),
				0,
			);
			return cells([
				data.layers[Math.floor(n / data.width)] + "." + (n % data.width),
				signed((data.weights[tag][n] * data.largest) / 100, 3),
				data.tags[tag],
			]);
		}),
	);
}

panel("neurons", "Neurons", (data, section) => {
	if (data.why) return void section.append(node("p", { text: "Nothing to see here: " + data.why }));
	const percent_of = v => (100 * v).toFixed(2) + " %",
		ranks = new Array(data.order.length),
		layers = data.layers.map((number, i) => ({
			name: "layer " + number,
			value: data.tenth[i],
			text: String(data.tenth[i]),
		}));
	data.order.forEach((n, rank) => {
		ranks[n] = rank;
	});
	section.append(
		node("p", {
			text:
				"A linear probe with an elastic net from the outputs of all layers to the tags of " +
				`${data.words} words of ${data.data}, those it was fitted to: it is right for ` +
				`${percent_of(data.accuracy)} of them. Its weights rank the neurons, as bertc ` +
				"rank-neurons does." +
				(data.tags.length < data.all_tags
					? ` Of ${data.all_tags} tags the ${data.tags.length} commonest are drawn.`
					: ""),
		}),
	);
	section.append(
		node(
			"div",
			{ class: "charts" },
			node(
				"div",
				null,
				node("h3", { text: `the first ${Math.floor(data.order.length / 10)} neurons lie in` }),
				bars(layers, "how many of the first tenth of all neurons each layer has"),
				node("h3", { text: "what the probe tells with part of the neurons" }),
				table(
					"words",
					["neurons", "first of the ranking", "last"],
					data.parts.map(part =>
						cells([
							Math.round(100 * part.share) + " %",
							percent_of(part.top),
							percent_of(part.bottom),
						]),
					),
				),
			),
			node(
				"div",
				null,
				node("h3", { text: "the first neurons" }),
				neuron_table(data, 12),
			),
		),
	);
	section.append(
		node(
			"div",
			{ class: "legend" },
			[
				["--accent", "speaks for the tag"],
				["--warn", "against it"],
			].map(([colour, text]) => node("span", null, node("i", { vars: { c: `var(${colour})` } }), text)),
		),
	);
	data.layers.forEach((_, layer) => section.append(weight_map(data, ranks, layer)));
});

/* ---- exits ---- */
panel("exits", "Early exits", (data, section) => {
	const timed = data.points[0].ms !== undefined,
		whole = data.points[0],
		score = v => (100 * v).toFixed(1) + " %";
	const named = key =>
		data.points.map(p => ({
			x: p[key],
			y: p.score,
			name: p.exit_entropy.toFixed(3),
			lossy: p.exit_entropy === data.default,
		}));
	section.append(
		node("p", {
			text:
				"A text ends behind the first layer whose head's entropy is below exit_entropy, " +
				`${data.default.toFixed(4)} unless the program is told otherwise. ${data.texts} ` +
				"texts, one a call; a point a threshold, the program's own in the other colour." +
				(timed && data.energy !== "RAPL" ? ` Energy is not readable: ${data.energy}.` : ""),
		}),
	);
	section.append(
		node(
			"div",
			{ class: "charts" },
			timed &&
				node(
					"div",
					null,
					node("h3", { text: "accuracy against time" }),
					scatter(named("ms"), "ms a text, one thread", "accuracy", v => v.toFixed(2), score),
				),
			!timed &&
				node(
					"div",
					null,
					node("h3", { text: "accuracy against work" }),
					scatter(
						named("work"),
						"multiply-adds, as a share of all",
						"accuracy",
						v => v.toFixed(2),
						score,
					),
				),
			node(
				"div",
				null,
				node("h3", { text: "accuracy against layers" }),
				scatter(
					named("layers"),
					`layers run, of ${data.layers}`,
					"accuracy",
					v => v.toFixed(1),
					score,
				),
			),
		),
	);
	const energy = data.points.some(p => typeof p.joules === "number");
	const titles = [
		"exit_entropy",
		"accuracy",
		"points",
		"layers",
		"speed-up by work",
		timed && "ms a text",
		timed && "measured speed-up",
		energy && "J a text",
	].filter(Boolean);
	section.append(
		table(
			"exits",
			titles,
			data.points.map(p =>
				cells(
					[
						p.exit_entropy.toFixed(4),
						(100 * p.score).toFixed(2) + " %",
						signed(100 * (p.score - whole.score), 2),
						p.layers.toFixed(2),
						(1 / p.work).toFixed(2) + "x",
						timed && p.ms.toFixed(3),
						timed && p.speed_up.toFixed(2) + "x",
						energy && (typeof p.joules === "number" ? p.joules.toPrecision(3) : "–"),
					].filter(Boolean),
					{ class: p.exit_entropy === data.default ? "preset" : null },
				),
			),
		),
	);
});
