/* qa.c: prints the answers to a question, best first. answers/answers.c has the rule. */
#include "program.h"
#include <math.h>

RT_FN void answer_print(RtProgram *p, const RtItem *item, const RtFoundText *found)
{
	char spelling[1024];
	const char *text = "";
	size_t bytes = 0;
	if (found->start >= 0 && p->options.ids) {
		text = spelling;
		bytes = task_spelling(
			p, task_piece(p, item, found->window), found->start, found->end, spelling, sizeof spelling);
	} else if (found->start >= 0) {
		text = item->pair + found->start;
		bytes = (size_t)(found->end - found->start);
	}
	if (p->options.json) {
		fputs("\"answer\": ", p->out);
		rt_json_string(p->out, text, bytes);
		fprintf(p->out, ", \"start\": %d, \"end\": %d, \"score\": ", (int)found->start, (int)found->end);
		rt_json_number(p->out, found->score);
	} else {
		fprintf(p->out, "%d\t%d\t%.6f\t", (int)found->start, (int)found->end, found->score);
		task_print_text(p, text, bytes);
		putc('\n', p->out);
	}
}

/* With --top as a list; plain answers then end with a blank line. */
RT_FN void answer_print_all(RtProgram *p, const RtItem *item, const RtFound *found)
{
	const int list = p->options.json && p->options.top > 0;
	fputs(p->options.json ? "{" : "", p->out);
	fputs(list ? "\"answers\": [" : "", p->out);
	for (int32_t i = 0; i < rt_min(found->count, found->top); i++) {
		fputs(list && i ? ", " : "", p->out);
		fputs(list ? "{" : "", p->out);
		answer_print(p, item, &found->list[i]);
		fputs(list ? "}" : "", p->out);
	}
	fputs(list ? "]" : "", p->out);
	if (p->options.json) {
		fputs(", \"null_score\": ", p->out);
		rt_json_number(p->out, found->null_score);
	} else if (p->options.top > 0)
		putc('\n', p->out);
}

/* Puts "no answer" among the answers: by its score, divided by e to the power of --null-threshold. */
RT_FN void answer_none(RtFound *found, double threshold)
{
	const double rank = found->null_score * exp(-threshold);
	int32_t at = 0;
	while (at < found->count && found->list[at].score >= rank)
		at++;
	memmove(found->list + at + 1, found->list + at, (size_t)(found->count - at) * sizeof *found->list);
	found->list[at] = (RtFoundText){found->null_score, -1, -1, 0};
	found->count++;
}

RT_FN void task_print_answers(RtProgram *p, const RtItem *item, const RtHead *head)
{
	RtFound found = {.context = p->options.ids ? NULL : item->pair};
	int32_t longest = 1;
	for (int32_t i = 0; i < item->npieces; i++)
		longest = rt_max(longest, task_piece(p, item, i)->n);
	const int32_t spans = RT_ANSWER_TOKENS * longest; /* there are no more in a window */
	found.top = rt_min(rt_max(p->options.top, 1), spans);
	const size_t most = 2 * (size_t)found.top + RT_FOUND_SPANS;
	found.capacity = item->npieces * (int32_t)most;
	const size_t list = ((size_t)found.capacity + 1) * sizeof *found.list;
	char *memory = rt_scratch(p, list + most * sizeof(RtAnswer) + 2 * (size_t)longest * sizeof(double));
	RtAnswer *best = (RtAnswer *)(void *)(memory + list);
	found.list = (RtFoundText *)(void *)memory;
	for (int32_t i = 0; i < item->npieces; i++) {
		const RtView view = rt_view(p, item, i, head->output);
		rt_found_add(&found, &view, best, (double *)(void *)(best + most));
	}
	rt_found_sort(&found);
	if (found.count == 0 || p->options.allow_no_answer)
		answer_none(&found, p->options.null_threshold);
	answer_print_all(p, item, &found);
}
