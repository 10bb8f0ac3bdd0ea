/* report.c: --about, --bench and --profile. Times are for the model without the tokenizer, on ids from a
 * fixed seed. */
#include "program.h"

enum { REPORT_RUNS_MAX = 1000000, REPORT_SEQS_MAX = 64 };

/* Prints the model's metadata and, for coded weights, their size and the time to decode them here. */
RT_FN int rt_about(const RtModel *m, FILE *out)
{
	const size_t room = strlen(m->about) + 256;
	char *text = m->unpack ? malloc(room) : NULL;
	if (text)
		*text = 0;
	if (text && m->unpack() == RT_OK)
		snprintf(text, room,
			"%.*s, \"packed\": {\"bytes\": %zu, \"unpacked_bytes\": %zu, \"unpack_ms\": %.3f}}",
			(int)(strlen(m->about) - 1), m->about, m->unpacked->from_bytes, m->unpacked->to_bytes,
			m->unpacked->seconds * 1e3);
	rt_json_indent(out, text && *text ? text : m->about);
	free(text);
	return 0;
}

/* The lengths of --seq, or the usual lengths up to the model's limit. Returns their number; 0: not a list of
 * lengths. */
RT_FN int report_lengths(const RtProgram *p, const char *usual, int32_t *lengths)
{
	const RtModel *m = p->model;
	int n = 0;
	for (const char *at = p->options.seq ? p->options.seq : usual; *at && n < REPORT_SEQS_MAX;) {
		char *end;
		const long length = strtol(at, &end, 10);
		if (end == at || length < 1 || (*end && *end != ',') || (*end == ',' && !end[1]))
			return 0;
		if (length <= m->max_tokens)
			lengths[n++] = (int32_t)length;
		else if (p->options.seq)
			return 0;
		at = *end ? end + 1 : end;
	}
	if (n == 0 && !p->options.seq)
		lengths[n++] = m->max_tokens;
	return n;
}

/* Makes the same ids every time, by a xorshift generator (Marsaglia 2003) with a fixed seed. */
RT_FN void report_ids(RtProgram *p, int32_t texts, int32_t length)
{
	uint32_t state = 2463534242u;
	p->npieces = 0;
	p->ntokens = 0;
	program_tokens(p, texts * length);
	for (int32_t t = 0; t < texts; t++) {
		RtItem item = {.number = t + 1};
		program_piece(p, &item, length);
	}
	for (int32_t i = 0; i < texts * length; i++) {
		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		p->ids[i] = (int32_t)(state % (uint32_t)p->model->vocab);
		p->types[i] = 0;
	}
}

/* Measures the seconds of each run, sorted. */
RT_FN int report_time(RtProgram *p, double *seconds, int runs)
{
	int status = program_run(p); /* once to warm up */
	for (int r = 0; r < runs && status == RT_OK; r++) {
		const double before = rt_seconds();
		status = program_run(p);
		const double took = rt_seconds() - before;
		int at = r;
		for (; at > 0 && seconds[at - 1] > took; at--)
			seconds[at] = seconds[at - 1];
		seconds[at] = took;
	}
	return status;
}

RT_FN int report_error(const RtProgram *p, int status)
{
	fprintf(stderr, "%s: error: %s\n", p->model->name, rt_strerror(status));
	return RT_EXIT_RUN;
}

/* The index of the nearest-rank percentile among sorted runs. It never decreases with the percentage, however
 * few runs there are. */
RT_INLINE int report_rank(int runs, int percent) { return (int)(((int64_t)runs * percent + 99) / 100) - 1; }

RT_FN int rt_bench(RtProgram *p)
{
	int32_t lengths[REPORT_SEQS_MAX];
	const int n = report_lengths(p, "8,16,32,64,128,256,512", lengths), texts = p->options.batch,
			  runs = p->options.repeat ? p->options.repeat : 20;
	if (n == 0 || (int64_t)texts * p->model->max_tokens > INT32_MAX)
		return program_usage(p, "--seq=%s: expected lengths from 1 to %d, separated by commas",
			p->options.seq ? p->options.seq : "", (int)p->model->max_tokens);
	double *seconds = rt_scratch(p, (size_t)runs * sizeof *seconds);
	if (!p->options.json)
		printf("%s for %s, %d thread%s, median of %d runs, without the tokenizer\n%8s %8s %10s %10s %12s\n",
			p->model->name, p->context->variant->cpu, p->options.threads, p->options.threads > 1 ? "s" : "",
			runs, "tokens", "texts", "min ms", "median ms", "tokens/s");
	for (int i = 0; i < n; i++) {
		report_ids(p, texts, lengths[i]);
		const int status = report_time(p, seconds, runs);
		if (status != RT_OK)
			return report_error(p, status);
		const double least = seconds[0] * 1e3, median = seconds[report_rank(runs, 50)] * 1e3;
		const double rate = texts * lengths[i] / (median * 1e-3);
		if (p->options.json)
			printf("{\"cpu\": \"%s\", \"tokens\": %d, \"texts\": %d, \"threads\": %d, \"runs\": %d, "
				   "\"min_ms\": %.4f, \"median_ms\": %.4f, \"p90_ms\": %.4f, \"p99_ms\": %.4f, "
				   "\"tokens_per_second\": %.1f}\n",
				p->context->variant->cpu, (int)lengths[i], texts, p->options.threads, runs, least, median,
				seconds[report_rank(runs, 90)] * 1e3, seconds[report_rank(runs, 99)] * 1e3, rate);
		else
			printf("%8d %8d %10.3f %10.3f %12.0f\n", (int)lengths[i], texts, least, median, rate);
		fflush(stdout);
	}
	return 0;
}

/* Floating-point operations of a step in one call. Thinned texts count the rows that the last pass kept. */
RT_FN double report_flops(const RtContext *c, const RtStep *step, double texts, double length)
{
	const RtKept *kept = step->symbol ? &c->kept[step->symbol - 1] : NULL;
	if (kept && kept->texts)
		length = kept->rows / (double)kept->texts;
	return texts
		* (length * step->flops_per_token + step->flops_per_text + length * length * step->flops_per_pair);
}

RT_FN void report_step(const RtStep *step, double seconds, double total, double flops, const char *what)
{
	printf("%10.1f %6.1f %9.1f  %-28s %s\n", seconds * 1e6, total > 0 ? 100 * seconds / total : 0,
		seconds > 0 ? flops / seconds * 1e-9 : 0, step->kernel, what);
}

/* Prints one line per step, then one line per kernel. */
RT_FN int rt_profile(RtProgram *p)
{
	const RtModel *m = p->model;
	const RtVariant *v = p->context->variant;
	int32_t lengths[REPORT_SEQS_MAX];
	const int n = report_lengths(p, "128", lengths), runs = p->options.repeat ? p->options.repeat : 20,
			  texts = p->options.batch;
	if (n == 0 || (int64_t)texts * m->max_tokens > INT32_MAX)
		return program_usage(p, "--seq=%s: expected lengths from 1 to %d",
			p->options.seq ? p->options.seq : "", (int)m->max_tokens);
	if (m->unpacked && !p->options.json)
		printf("at the start: %.3f MB of weights decoded into %.3f MB in %.3f ms\n",
			(double)m->unpacked->from_bytes * 1e-6, (double)m->unpacked->to_bytes * 1e-6,
			m->unpacked->seconds * 1e3);
	double *steps = rt_scratch(p, 2 * (size_t)(v->nsteps + 1) * sizeof *steps), *once = steps + v->nsteps + 1;
	for (int i = 0; i < n; i++) {
		double total = 0;
		report_ids(p, texts, lengths[i]);
		memset(steps, 0, (size_t)v->nsteps * sizeof *steps);
		for (int r = 0; r <= runs; r++) { /* the first to warm up */
			memset(once, 0, (size_t)v->nsteps * sizeof *once);
			p->context->step_seconds = once;
			const int status = program_run(p);
			if (status != RT_OK)
				return report_error(p, status);
			for (int32_t s = 0; r > 0 && s < v->nsteps; s++)
				steps[s] += once[s] / runs;
		}
		for (int32_t s = 0; s < v->nsteps; s++)
			total += steps[s];
		if (p->options.json) {
			for (int32_t s = 0; s < v->nsteps; s++) {
				printf("{\"cpu\": \"%s\", \"tokens\": %d, \"texts\": %d, \"step\": %d, \"origin\": ", v->cpu,
					(int)lengths[i], texts, (int)s);
				rt_json_string(p->out, v->steps[s].origin ? v->steps[s].origin : "",
					v->steps[s].origin ? strlen(v->steps[s].origin) : 0);
				printf(", \"kernel\": ");
				rt_json_string(p->out, v->steps[s].kernel, strlen(v->steps[s].kernel));
				printf(", \"us\": %.2f}\n", steps[s] * 1e6);
			}
			continue;
		}
		printf("%s for %s, %d text%s of %d tokens, %d thread%s, mean of %d runs: %.3f ms\n%10s %6s %9s  "
			   "%-28s %s\n",
			m->name, v->cpu, texts, texts > 1 ? "s" : "", (int)lengths[i], p->options.threads,
			p->options.threads > 1 ? "s" : "", runs, total * 1e3, "us", "%", "GFLOP/s", "kernel", "op");
		for (int32_t s = 0; s < v->nsteps; s++)
			report_step(&v->steps[s], steps[s], total,
				report_flops(p->context, &v->steps[s], texts, lengths[i]),
				v->steps[s].origin ? v->steps[s].origin : "");
		printf("by kernel\n");
		for (int32_t s = 0; s < v->nsteps; s++) {
			double seconds = 0, flops = 0;
			int count = 0;
			char what[32];
			for (int32_t o = 0; o < v->nsteps; o++)
				if (strcmp(v->steps[o].kernel, v->steps[s].kernel) == 0) {
					if (o < s)
						break;
					seconds += steps[o];
					flops += report_flops(p->context, &v->steps[o], texts, lengths[i]);
					count++;
				}
			snprintf(what, sizeof what, "x%d", count);
			if (count > 0)
				report_step(&v->steps[s], seconds, total, flops, what);
		}
	}
	return 0;
}
