/* test_verified.c: compiler/build/verified.c: the figures that a build accepts, and the messages for those
 * that it refuses. */
#include "compiler/build/verified.h"
#include "tests/unit/suite.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ABOUT \
	"{\"target\":\"t\",\"cpu\":\"here\",\"passes\":\"fuse\",\"graph_sha256\":\"aa\",\"model\":{\"model_" \
	"sha256\":\"bb\"}}"
#define BUILD \
	"\"build\":{\"model_sha256\":\"bb\",\"graph_sha256\":\"aa\",\"passes\":\"fuse\",\"target\":\"t\"," \
	"\"cpu\":\"there\"}"
#define ROW \
	"{\"output\":\"logits\",\"max_abs\":1.5e-6,\"largest\":null,\"cosine\":1.0,\"top1\":3,\"top1_of\":4}"
#define REST ",\"inputs\":2,\"tokens\":9,\"seed\":1,\"more\":[1],\"pass\":true"

/* The new about as text, or the first error; free it. */
static char *embed(const char *verified)
{
	json_t *about = json_loads(ABOUT, 0, NULL), *figures = json_loads(verified, 0, NULL);
	Diag diag;
	diag_init(&diag, "model");
	CU_ASSERT_PTR_NOT_NULL_FATAL(figures);
	bool good = verified_embed(about, figures, "f.json", &diag);
	CU_ASSERT_EQUAL(good, diag.errors == 0);
	if (!good)
		CU_ASSERT_EQUAL(diag.code, EXIT_INPUT);
	char *text = good
		? json_dumps(json_object_get(about, "verified"), JSON_COMPACT | JSON_REAL_PRECISION(VERIFIED_DIGITS))
		: strdup(diag.messages[0].text);
	json_decref(about);
	json_decref(figures);
	diag_free(&diag);
	return text;
}

static void test_taken(void)
{
	char *text = embed("{" BUILD REST ",\"outputs\":[" ROW "]}");
	CU_ASSERT_STRING_EQUAL(text,
		"{\"target\":\"t\",\"cpu\":\"there\",\"inputs\":2,\"tokens\":9,\"seed\":1,\"outputs\":[" ROW "]}");
	free(text);
	text = embed("{" BUILD ",\"inputs\":2,\"tokens\":9,\"data\":\"a b.txt\",\"pass\":true,\"outputs\":[]}");
	CU_ASSERT_STRING_EQUAL(text,
		"{\"target\":\"t\",\"cpu\":\"there\",\"inputs\":2,\"tokens\":9,\"data\":\"a b.txt\",\"outputs\":[]}");
	free(text);
}

static void test_refused(void)
{
	static const struct {
		const char *verified, *message;
	} cases[] = {
		{"{" BUILD ",\"inputs\":2,\"tokens\":9,\"seed\":1,\"outputs\":[],\"pass\":false}",
			"outside the limits"},
		{"{\"build\":{\"model_sha256\":\"b\",\"graph_sha256\":\"aa\",\"passes\":\"fuse\"}" REST "}",
			"another checkpoint"},
		{"{\"build\":{\"graph_sha256\":\"aa\",\"passes\":\"fuse\"}" REST "}",
			"model_sha256 is missing there, bb here"},
		{"{\"build\":{\"model_sha256\":\"bb\",\"graph_sha256\":\"a\",\"passes\":\"fuse\"}" REST "}",
			"another graph"},
		{"{\"build\":{\"model_sha256\":\"bb\",\"graph_sha256\":\"aa\",\"passes\":\"cse\"}" REST "}",
			"other passes"},
		{"{\"build\":{\"model_sha256\":\"bb\",\"graph_sha256\":\"aa\",\"passes\":7}" REST "}", "passes"},
		{"{" BUILD REST "}", "outputs is not an array"},
		{"{" BUILD REST ",\"outputs\":[7]}", "outputs holds an integer"},
		{"{" BUILD REST ",\"outputs\":[{\"output\":\"a/b\"}]}", "output is not a plain name"},
		{"{" BUILD REST ",\"outputs\":[{\"output\":\"a\",\"max_abs\":\"x\"}]}", "max_abs"},
		{"{" BUILD REST ",\"outputs\":[{\"output\":\"a\",\"top1\":1}]}", "top1_of is missing"},
		{"{" BUILD ",\"inputs\":-2,\"tokens\":9,\"seed\":1,\"outputs\":[],\"pass\":true}", "inputs"},
		{"{" BUILD ",\"inputs\":2,\"tokens\":9,\"outputs\":[],\"pass\":true}", "seed is missing"},
		{"{" BUILD ",\"inputs\":2,\"tokens\":9,\"data\":\"\\u001b[2J\",\"outputs\":[],\"pass\":true}",
			"data is not a plain name"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = embed(cases[i].verified);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, cases[i].message));
		if (!strstr(text, cases[i].message))
			fprintf(stderr, "case %zu: %s\n", i, text);
		free(text);
	}
}

static void test_many_outputs(void)
{
	for (int n = 32; n <= 33; n++) {
		json_t *figures = json_loads("{" BUILD REST ",\"outputs\":[]}", 0, NULL),
			   *row = json_loads(ROW, 0, NULL);
		for (int i = 0; i < n; i++)
			json_array_append(json_object_get(figures, "outputs"), row);
		char *dumped = json_dumps(figures, 0), *text = embed(dumped);
		CU_ASSERT_EQUAL(strstr(text, "not an array of at most 32") != NULL, n > 32);
		json_decref(figures);
		json_decref(row);
		free(dumped);
		free(text);
	}
}

static void test_numbers(void)
{
	json_t *nan = verified_real(NAN), *number = verified_real(0.25);
	CU_ASSERT(json_is_null(nan));
	CU_ASSERT_EQUAL(json_real_value(number), 0.25);
	json_decref(nan);
	json_decref(number);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"figures that are taken", test_taken},
		{"figures that are refused", test_refused},
		{"outputs", test_many_outputs},
		{"numbers", test_numbers},
	};
	return SUITE_RUN("verified", tests);
}
