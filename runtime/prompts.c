/* prompts.c: prompts of sentence-transformers: a text that the program puts before each text, or before the
 * first text of a pair. --prompt chooses one by its name. */
#include "program.h"

RT_FN const RtPrompt *prompt_find(const RtModel *m, const char *name)
{
	for (int32_t i = 0; i < m->nprompts; i++)
		if (strcmp(m->prompts[i].name, name) == 0)
			return &m->prompts[i];
	return NULL;
}

/* As encode_query and encode_document of sentence-transformers choose it: they never take the default. */
RT_FN int prompt_take(RtProgram *p)
{
	p->prompt = prompt_find(p->model, p->late == RT_QUERY ? "query" : "document");
	return prompt_measure(p);
}

/* Sets the prompt: the one that --prompt names, else the model's default. With a model for late interaction,
 * `query` and `document` also say what the texts are. 0, or the exit code of what it has said. */
RT_FN int prompt_choose(RtProgram *p)
{
	const RtModel *m = p->model;
	const char *name = p->options.prompt;
	char all[512] = "";
	p->prompt = rerank_encodes(p) ? NULL : m->prompt; /* rerank_start takes those of queries and documents */
	if (!name)
		return 0;
	if (p->options.ids)
		return program_usage(p, "--prompt and --ids exclude each other");
	p->prompt = NULL;
	if (!*name)
		return 0;
	if (m->late && (strcmp(name, "query") == 0 || strcmp(name, "document") == 0)) {
		p->late = *name == 'q' ? RT_QUERY : RT_DOCUMENT;
		return prompt_take(p);
	}
	p->prompt = prompt_find(m, name);
	if (p->prompt)
		return 0;
	for (int32_t i = 0; i < m->nprompts; i++) {
		const size_t used = strlen(all);
		snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", m->prompts[i].name);
	}
	return program_usage(p, "--prompt=%s: this program has %s", name, *all ? all : "no prompts");
}

/* Tells a model that does not pool the tokens of a prompt how many there are: those of the prompt by itself,
 * without a special token at its end. */
RT_FN int prompt_measure(RtProgram *p)
{
	const RtModel *m = p->model;
	RtOptions *o = &p->options;
	const int32_t option = rt_option(m, "prompt_tokens");
	const char *text = p->prompt && m->tokenizer && !o->ids ? p->prompt->text : "";
	RtEncoding e = {0};
	if (option < 0 || (o->has_own >> option & 1))
		return 0;
	if (*text && o->overflow == RT_OVERFLOW_WINDOW)
		return program_usage(p,
			"--on-overflow=window: this model does not pool the prompt, which only the first window has; "
			"--prompt= takes no prompt");
	program_tokens(p, m->max_tokens);
	if (*text
		&& rt_tokenize(m->tokenizer, text, strlen(text), NULL, 0, m->max_tokens, p->ids, p->types, p->start,
			   p->end, p->word, &e)
			!= RT_OK)
		return 0; /* then every text fails, too */
	const double tokens = e.n - (e.n > 0 && p->start[e.n - 1] == RT_SPECIAL);
	if (p->context) {
		p->context->options[option] = tokens;
	} else if (*text) {
		o->own[option] = tokens;
		o->has_own |= 1u << option;
	}
	return 0;
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
