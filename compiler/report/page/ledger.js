/* ledger.js: panels of the whole model: the summary at the top, the table of passes, accuracy against
 * size. */
"use strict";

/* ---- summary ---- */
function draw_head(model, ledger) {
	const first = ledger.start,
		last = ledger.passes[ledger.passes.length - 1] || first;
	const tile = (name, show, key) => {
		if (first[key] === undefined) return null;
		const change = percent(last[key], first[key]),
			better = last[key] < first[key];
		return node(
			"div",
			{ class: "tile" },
			node("span", { class: "soft", text: name }),
			node("b", { text: show(last[key]) }),
			node("span", { class: "soft", text: "from " + show(first[key]) + " " }),
			node("span", { class: better ? "good" : "bad", text: change }),
		);
	};
	const score =
		first.score === undefined
			? null
			: node(
					"div",
					{ class: "tile" },
					node("span", { class: "soft", text: ledger.metric }),
					node("b", { text: (100 * last.score).toFixed(2) + " %" }),
					node("span", { class: "soft", text: "from " + (100 * first.score).toFixed(2) + " % " }),
					node("span", {
						class: last.score < first.score ? "bad" : "good",
						text: signed(100 * (last.score - first.score), 2) + " points",
					}),
				);
	return node(
		"header",
		null,
		node("h1", { text: model.name }),
		node("div", {
			class: "soft",
			text: [
				model.meta.encoder,
				...model.heads.map(
					h => h.name + (h.labels.length ? ": " + h.labels.slice(0, 8).join(", ") : ""),
				),
				"for " + model.target + ", " + model.cpu,
				"bertc " + model.bertc,
			]
				.filter(Boolean)
				.join(" · "),
		}),
		node("code", { text: model.pipeline }),
		node(
			"div",
			{ class: "tiles" },
			score,
			tile("ms per text, one thread", v => v.toFixed(2), "latency_ms"),
			tile("weights", bytes, "weight_bytes"),
			tile("parameters", count, "parameters"),
			tile("MACs at 128 tokens", count, "macs_128"),
			tile("ops and constants", String, "nodes"),
		),
	);
}

/* ---- ledger ---- */
function cosine_class(cosine) {
	return cosine >= 0.9999 ? "" : cosine >= 0.99 ? "warn" : "bad";
}

function ledger_cells(row, before, start) {
	const amount = (label, key, show) => {
		const share = start[key] ? row[key] / start[key] : 0,
			change = before ? percent(row[key], before[key]) : "";
		return node(
			"td",
			{
				class: start[key] ? "amount" : null,
				"data-label": label,
				vars: { share: (100 * Math.min(share, 1)).toFixed(1) + "%", part: Math.min(share, 1) },
			},
			row[key] || key !== "arena_bytes" ? show(row[key]) : "–",
			change && node("small", { class: row[key] < before[key] ? "good" : "bad", text: change }),
		);
	};
	const measured = [];
	if (start.score !== undefined) {
		const drop = before ? 100 * (row.score - before.score) : 0;
		measured.push(
			node(
				"td",
				{ "data-label": "score" },
				(100 * row.score).toFixed(2) + " %",
				Math.abs(drop) > 0.004 &&
					node("small", { class: drop < 0 ? "bad" : "good", text: signed(drop, 2) + " points" }),
			),
		);
	}
	if (start.latency_ms !== undefined)
		measured.push(
			node(
				"td",
				{ "data-label": "ms per text" },
				row.latency_ms.toFixed(2),
				before &&
					percent(row.latency_ms, before.latency_ms) &&
					node("small", {
						class: row.latency_ms < before.latency_ms ? "good" : "bad",
						text: percent(row.latency_ms, before.latency_ms),
					}),
			),
		);
	return [
		...measured,
		amount("weights", "weight_bytes", bytes),
		amount("parameters", "parameters", count),
		amount("MACs", "macs_128", count),
		node("td", { "data-label": "nodes", text: row.nodes }),
		amount("arena", "arena_bytes", bytes),
		node("td", {
			"data-label": "max |Δ|",
			text: row.max_abs === undefined ? "–" : row.max_abs === 0 ? "0" : row.max_abs.toPrecision(2),
		}),
		node("td", {
			"data-label": "cosine",
			class: row.cosine === undefined ? "" : cosine_class(row.cosine),
			text: row.cosine === undefined ? "–" : row.cosine.toFixed(6),
		}),
	];
}

function ledger_row(row, before, start, index) {
	const [name, options] = parse_pass(row.pass);
	return node(
		"tr",
		{ class: row.changes ? null : "same" },
		node(
			"td",
			{ class: "pass" },
			node("button", {
				type: "button",
				title: "show the IR after this pass",
				text: name,
				on: { click: () => show_column(index) },
			}),
			row.lossy &&
				node("span", { class: "badge", title: "may change results beyond rounding", text: "lossy" }),
			options && node("span", { class: "options mono", text: options }),
		),
		node("td", { "data-label": "changes", text: row.changes || "–" }),
		ledger_cells(row, before, start),
	);
}

panel("ledger", "What each pass cost", (ledger, section) => {
	const start = ledger.start,
		wide = 9 + (start.score !== undefined) + (start.latency_ms !== undefined);
	const titles = [
		"pass",
		"changes",
		...(start.score !== undefined ? [ledger.metric] : []),
		...(start.latency_ms !== undefined ? ["ms per text"] : []),
		"weights",
		"parameters",
		"MACs at 128",
		"nodes",
		"arena at 128",
		"max |Δ|",
		"cosine",
	];
	const rows = [
		cells([node("td", { class: "pass", text: "original" }), "", ...ledger_cells(start, null, start)]),
	];
	ledger.passes.forEach((row, i) => {
		rows.push(ledger_row(row, i ? ledger.passes[i - 1] : start, start, i));
		if (row.notes.length)
			rows.push(
				node(
					"tr",
					{ class: "notes" },
					node(
						"td",
						{ colspan: wide },
						node(
							"details",
							null,
							node("summary", {
								text:
									row.notes.length === 1
										? row.notes[0].slice(0, 140)
										: row.notes.length +
											" notes: changes, and why patterns did not match",
							}),
							node(
								"ul",
								null,
								row.notes.map(note => node("li", { class: "mono", text: note })),
							),
						),
					),
				),
			);
	});
	section.append(
		node("p", {
			text:
				"Bars are relative to the original model; differences are relative to the previous pass. " +
				"max |Δ| and cosine compare the outputs before and after a pass on a small artificial " +
				"text." +
				(start.score === undefined
					? ""
					: " Score and time are measured with a program built from the model after each pass. " +
						"The program of the first row has unfused ops."),
		}),
		table("ledger", titles, rows),
	);
});

panel("ledger", "Accuracy, size, time", (ledger, section) => {
	const kept = [{ ...ledger.start, pass: "original" }, ...ledger.passes.filter(row => row.changes)];
	/* a pass that changes neither score nor time would draw a point on top of another */
	const points = (x, y) =>
		kept
			.filter(
				(row, i) =>
					!i || row.score !== kept[i - 1].score || row.latency_ms !== kept[i - 1].latency_ms,
			)
			.map(row => ({ x: row[x], y: row[y], name: parse_pass(row.pass)[0], lossy: row.lossy }));
	const charts = node("div", { class: "charts" });
	section.append(charts);
	if (ledger.start.score !== undefined) {
		charts.append(
			node(
				"div",
				null,
				node("h3", { text: "against bytes of weights" }),
				scatter(
					points("weight_bytes", "score"),
					"weights",
					ledger.metric,
					bytes,
					v => (100 * v).toFixed(1) + " %",
				),
			),
		);
		if (ledger.start.latency_ms !== undefined)
			charts.append(
				node(
					"div",
					null,
					node("h3", { text: "against time" }),
					scatter(
						points("latency_ms", "score"),
						"ms per text, one thread",
						ledger.metric,
						v => v.toFixed(2),
						v => (100 * v).toFixed(1) + " %",
					),
				),
			);
	}
	const rows = (key, show) =>
		kept
			.filter((row, i) => !i || row[key] !== kept[i - 1][key])
			.map(row => ({ name: parse_pass(row.pass)[0], value: row[key], text: show(row[key]) }));
	charts.append(
		node(
			"div",
			null,
			node("h3", { text: "weights after each pass that changed them" }),
			bars(rows("weight_bytes", bytes), "bytes of weights after each pass"),
		),
		node(
			"div",
			null,
			node("h3", { text: "multiply-adds at 128 tokens" }),
			bars(rows("macs_128", count), "multiply-adds after each pass"),
		),
	);
});
