/* prompts.c: prompts of sentence-transformers: a text that the program puts before each text, or before the
 * first text of a pair. --prompt chooses one by its name. */
#include "program.h"

/* Sets the prompt: the one that --prompt names, else the model's default. 0, or the exit code of what it has
 * said. */
RT_FN int prompt_choose(RtProgram *p)
{
	const RtModel *m = p->model;
	const char *name = p->options.prompt;
	char all[512] = "";
	p->prompt = m->prompt;
	if (!name)
		return 0;
	if (p->options.ids)
		return program_usage(p, "--prompt and --ids exclude each other");
	p->prompt = NULL;
	if (!*name)
		return 0;
	for (int32_t i = 0; i < m->nprompts; i++) {
		const size_t used = strlen(all);
		if (strcmp(m->prompts[i].name, name) == 0)
			p->prompt = &m->prompts[i];
		snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", m->prompts[i].name);
	}
	if (p->prompt)
		return 0;
	return program_usage(p, "--prompt=%s: this program has %s", name, *all ? all : "no prompts");
}

/* The prompt and the text, which is valid until the next call. */
RT_FN const char *prompt_text(RtProgram *p, const char *text, size_t *bytes)
{
	const size_t before = p->prompt ? strlen(p->prompt->text) : 0;
	if (before == 0)
		return text;
	p->prompted = rt_grow(p->prompted, &p->prompted_bytes, before + *bytes + 1);
	memcpy(p->prompted, p->prompt->text, before);
	memcpy(p->prompted + before, text, *bytes);
	*bytes += before;
	return p->prompted;
}

RT_FN void prompt_help(const RtModel *m)
{
	for (int32_t i = 0; i < m->nprompts; i++)
		printf("%s  %s%s\n", i ? "" : "\nPrompts:\n", m->prompts[i].name,
			m->prompt == &m->prompts[i] ? " (default)" : "");
}
