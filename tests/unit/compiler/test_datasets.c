/* test_datasets.c: compiler/measure/datasets.c: every format, and bad files. Also reads the files of $SHARED
 * if it is set. */
#include "compiler/cli/bertc.h"
#include "compiler/measure/datasets.h"
#include "tests/unit/suite.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Parses; NULL data->rows on error, with `why` in the message. */
static bool parse_for(DataUse use, const char *text, bool csv, const char *why, Dataset *data)
{
	Diag diag;
	diag_init(&diag, "data");
	const bool ok = dataset_parse(text, strlen(text), csv, use, data, &diag);
	CU_ASSERT_EQUAL(ok, diag.errors == 0);
	if (!ok)
		CU_ASSERT_EQUAL(diag.code, EXIT_INPUT);
	if (!ok && why)
		CU_ASSERT_PTR_NOT_NULL(strstr(diag.messages[0].text, why));
	diag_free(&diag);
	return ok;
}

static bool parse(const char *text, bool csv, Dataset *data)
{
	return parse_for(DATA_FOR_LABELS, text, csv, NULL, data);
}

static void test_labels(void)
{
	Dataset d;
	static const char *const files[] = {"sentence\tlabel\ngood film \t1\nbad \"one\t0\n",
		"good film \t1\r\nbad \"one\t0",
		"\xef\xbb\xbf"
		"good film \t1\n\nbad \"one\t0\n"};
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_FATAL(parse(files[i], false, &d));
		CU_ASSERT_EQUAL(d.form, DATA_LABELS);
		CU_ASSERT_EQUAL_FATAL(d.nrows, 2);
		CU_ASSERT_STRING_EQUAL(d.rows[0].text, "good film ");
		CU_ASSERT_STRING_EQUAL(d.rows[0].label, "1");
		CU_ASSERT_STRING_EQUAL(d.rows[1].text, "bad \"one"); /* no quoting in TSV */
		CU_ASSERT_STRING_EQUAL(d.rows[1].label, "0");
		CU_ASSERT_PTR_NULL(d.rows[0].pair);
		dataset_free(&d);
	}
	CU_ASSERT_FATAL(parse("\xef\xbb\xbfQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
						  "1\t10\t20\tHe said \" no\t\" Yes\n0\t1\t2\ta\tb\n",
		false, &d));
	CU_ASSERT_EQUAL_FATAL(d.nrows, 2);
	CU_ASSERT_STRING_EQUAL(d.rows[0].text, "He said \" no");
	CU_ASSERT_STRING_EQUAL(d.rows[0].pair, "\" Yes");
	CU_ASSERT_STRING_EQUAL(d.rows[1].label, "0");
	dataset_free(&d);
	CU_ASSERT_FATAL(parse("id\tquestion1\tquestion2\tis_duplicate\n7\ta?\tb?\t1\n", false, &d));
	CU_ASSERT_STRING_EQUAL(d.rows[0].pair, "b?");
	CU_ASSERT_STRING_EQUAL(d.rows[0].label, "1");
	dataset_free(&d);
}

static void test_csv(void)
{
	Dataset d;
	CU_ASSERT_FATAL(parse("text,category\r\n"
						  "plain,a b\r\n\"with, comma and \"\"quotes\"\"\nand a line\",other\r\nlast,x",
		true, &d));
	CU_ASSERT_EQUAL_FATAL(d.nrows, 3);
	CU_ASSERT_STRING_EQUAL(d.rows[0].label, "a b");
	CU_ASSERT_STRING_EQUAL(d.rows[1].text, "with, comma and \"quotes\"\nand a line");
	CU_ASSERT_STRING_EQUAL(d.rows[1].label, "other");
	CU_ASSERT_STRING_EQUAL(d.rows[2].text, "last");
	CU_ASSERT_EQUAL(d.rows[2].line, 5);
	dataset_free(&d);
}

static void test_scores(void)
{
	Dataset d;
	CU_ASSERT_FATAL(parse("main\tMSRvid\t2012\t0000\t5.000\tA man.\tA hat.\n"
						  "main\tx\ty\t1\t2.5\tone\ttwo\tlicence\tsource\n",
		false, &d));
	CU_ASSERT_EQUAL(d.form, DATA_SCORES);
	CU_ASSERT_EQUAL_FATAL(d.nrows, 2);
	CU_ASSERT_EQUAL(d.rows[1].score, 2.5);
	CU_ASSERT_STRING_EQUAL(d.rows[1].text, "one");
	CU_ASSERT_STRING_EQUAL(d.rows[1].pair, "two");
	dataset_free(&d);
	CU_ASSERT_FATAL(parse("sentence1\tsentence2\tscore\na\tb\t0.25\n", false, &d));
	CU_ASSERT_EQUAL(d.rows[0].score, 0.25);
	dataset_free(&d);
}

static void test_tags(void)
{
	Dataset d;
	static const char *const files[] = {"The\tO\nblue\tB-Colour\nsky\tI-Colour\n\nO\tO\n.\tO\n",
		"\nThe NN O\r\nblue JJ B-Colour\r\nsky NN I-Colour\r\n\r\n\r\nO X O\r\n. . O"};
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_FATAL(parse(files[i], false, &d));
		CU_ASSERT_EQUAL(d.form, DATA_TAGS);
		CU_ASSERT_EQUAL_FATAL(d.nrows, 2);
		CU_ASSERT_STRING_EQUAL(d.rows[0].text, "The blue sky");
		CU_ASSERT_EQUAL_FATAL(d.rows[0].nwords, 3);
		CU_ASSERT_STRING_EQUAL(d.rows[0].tags[1], "B-Colour");
		CU_ASSERT_STRING_EQUAL(d.rows[0].words[2], "sky");
		CU_ASSERT_STRING_EQUAL(d.rows[1].text, "O .");
		dataset_free(&d);
	}
}

/* Parts of speech: found by the blank line, by the ten columns of CoNLL-U, or because the caller says so. */
static void test_other_tags(void)
{
	Dataset d;
	static const char *const files[] = {"The\tDET\nsky\tNOUN\n\n.\tPUNCT\n",
		"# sent_id = 1\n# text = "
		"a\tb\n1\tThe\tthe\tDET\tDT\t_\t2\tdet\t_\t_\n1-2\tThesky\t_\t_\t_\t_\t_\t_\t_\t_\n"
		"2\tsky\tsky\tNOUN\tNN\t_\t0\troot\t_\t_\n2.1\tx\tx\tVERB\t_\t_\t_\t_\t_\t_\n\n# "
		"two\r\n1\t.\t.\tPUNCT\t.\t_\t0\troot\t_\t_\r\n"};
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_FATAL(parse(files[i], false, &d));
		CU_ASSERT_EQUAL_FATAL(d.form, DATA_TAGS);
		CU_ASSERT_EQUAL_FATAL(d.nrows, 2);
		CU_ASSERT_STRING_EQUAL(d.rows[0].text, "The sky");
		CU_ASSERT_STRING_EQUAL(d.rows[0].tags[0], "DET");
		CU_ASSERT_STRING_EQUAL(d.rows[0].tags[1], "NOUN");
		CU_ASSERT_STRING_EQUAL(d.rows[1].tags[0], "PUNCT");
		dataset_free(&d);
	}
	static const struct {
		const char *text;
		int rows, words;
	} said[] = {
		{"The DET\nsky NOUN\n", 1, 2},
		{"-DOCSTART- -X- O\n\nThe DET O\n", 1, 1},
		{"The\tDET\n", 1, 1},
		{"good film\t1\nbad\t0\n", 0, 0},
	};
	for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
		char name[] = "/tmp/bertc-test-XXXXXX";
		const int file = mkstemp(name);
		Diag diag;
		diag_init(&diag, "data");
		CU_ASSERT_FATAL(file >= 0 && write(file, said[i].text, strlen(said[i].text)) > 0);
		CU_ASSERT_FATAL(dataset_read_tags(name, &d, &diag));
		CU_ASSERT_EQUAL(d.form, said[i].rows ? DATA_TAGS : DATA_LABELS);
		if (said[i].rows) {
			CU_ASSERT_EQUAL(d.nrows, said[i].rows);
			CU_ASSERT_EQUAL(d.rows[0].nwords, said[i].words);
			CU_ASSERT_STRING_EQUAL(d.rows[0].words[0], "The");
		}
		dataset_free(&d);
		diag_free(&diag);
		close(file);
		unlink(name);
	}
}

static void test_refusals(void)
{
	Dataset d;
	static const struct {
		const char *text;
		bool csv;
	} bad[] = {
		{"", false},
		{"\n\n", false},
		{"just words\nmore words\n", false},
		{"a\tb\tc\n", false},
		{"text,category\nno label\n", true},
		{"text,category\n\"open,x\n", true},
		{"text,category\n\"a\"b,x\n", true},
		{"a,b\nc,d\n", true},
		{"The\tO\nbroken\n", false},
		{"sentence\tlabel\nshort\n", false},
		{"a\tX\n\nb\n", false},
		{"a\tX\n\nb\t\n", false},
		{"1\ta\t_\tX\t_\t_\t_\t_\t_\t_\n2\tb\n", false},
		{"sentence1\tsentence2\tscore\na\tb\tmany\n", false},
		{"sentence\tscore\na\t1\n", false},
		{"sentence\tlabel\n", false},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		CU_ASSERT_FALSE(parse(bad[i].text, bad[i].csv, &d));
		dataset_free(&d);
	}
	Diag diag;
	diag_init(&diag, "data");
	CU_ASSERT_FALSE(dataset_parse("a\tb\0c\td\n", 8, false, DATA_FOR_LABELS, &d, &diag));
	dataset_free(&d);
	CU_ASSERT_FALSE(dataset_read("/nowhere/to/be/found.tsv", &d, &diag));
	dataset_free(&d);
	char wide[400] = "";
	for (int i = 0; i < 100; i++)
		strcat(wide, "x\t");
	CU_ASSERT_FALSE(dataset_parse(wide, strlen(wide), false, DATA_FOR_LABELS, &d, &diag));
	dataset_free(&d);
	diag_free(&diag);
}

/* Where no labels are needed, a file may be plain text; tables are read as ever, with labels or without. */
static void test_texts(void)
{
	Dataset d;
	static const struct {
		const char *text;
		DataForm form;
		int32_t rows;
		const char *first, *pair;
		bool csv;
	} good[] = {
		{"a plain text\r\n\nanother one", DATA_TEXTS, 2, "a plain text", NULL, false},
		{"\xef\xbb\xbf"
		 "{not JSON\n",
			DATA_TEXTS, 1, "{not JSON", NULL, false},
		{"[1] a footnote\n", DATA_TEXTS, 1, "[1] a footnote", NULL, false},
		{"He said: O\nand left\n", DATA_TEXTS, 2, "He said: O", NULL, false},
		{"sentence\none\ntwo\n", DATA_TEXTS, 2, "one", NULL, false},
		{"index\tsentence\n0\tone\n", DATA_TEXTS, 1, "one", NULL, false},
		{"id,text\n0,\"one, two\"\n", DATA_TEXTS, 1, "one, two", NULL, true},
		{"question1\tquestion2\na?\tb?\n", DATA_TEXTS, 1, "a?", "b?", false},
		{"one\t1\ntwo\t0\n", DATA_LABELS, 2, "one", NULL, false},
		{"sentence1\tsentence2\tscore\na\tb\t0.25\n", DATA_SCORES, 1, "a", "b", false},
		{"The\tO\nsky\tO\n", DATA_TAGS, 1, "The sky", NULL, false},
	};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		CU_ASSERT_FATAL(parse_for(DATA_FOR_TEXTS, good[i].text, good[i].csv, NULL, &d));
		CU_ASSERT_EQUAL(d.form, good[i].form);
		CU_ASSERT_EQUAL_FATAL(d.nrows, good[i].rows);
		CU_ASSERT_STRING_EQUAL(d.rows[0].text, good[i].first);
		CU_ASSERT_EQUAL(d.rows[0].pair != NULL, good[i].pair != NULL);
		if (d.rows[0].pair && good[i].pair)
			CU_ASSERT_STRING_EQUAL(d.rows[0].pair, good[i].pair);
		dataset_free(&d);
	}
	static const struct {
		DataUse use;
		const char *text, *why;
		bool csv;
	} bad[] = {
		{DATA_FOR_LABELS, "a plain text\nanother one\n", "plain text has no labels, which are needed here",
			false},
		{DATA_FOR_TAGS, "a plain text\nanother\n", "plain text has no labels", false},
		{DATA_FOR_TAGS, "a plain text\nanother one\n", "plain text has no labels", false},
		{DATA_FOR_TEXTS, "a\tb\tc\n", "unknown format; expected", false},
		{DATA_FOR_TEXTS, "a,b\nc,d\n", "unknown format; expected", true},
		{DATA_FOR_TEXTS, "{\"text\": \"one\"}\n{\"text\": \"two\"}\n", "is JSON", false},
		{DATA_FOR_TEXTS, " [\"one\", \"two\"] \r\n", "is JSON", false},
		{DATA_FOR_TEXTS, "{\n  \"text\": \"one\"\n}\n", "is JSON", false},
		{DATA_FOR_LABELS, "{\"text\": \"one\", \"label\": 1}\n", "is JSON", false},
		{DATA_FOR_TEXTS, "\n\n", "has no rows", false},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		CU_ASSERT_FALSE(parse_for(bad[i].use, bad[i].text, bad[i].csv, bad[i].why, &d));
		dataset_free(&d);
	}
	char late[512] = "";
	for (int i = 0; i < 40; i++)
		strcat(late, "a text\n");
	strcat(late, "a\ttab\n");
	CU_ASSERT_FALSE(parse_for(DATA_FOR_TEXTS, late, false, "has a tab, unlike the lines before", &d));
	dataset_free(&d);
}

static void test_label_names(void)
{
	static const char *const labels[] = {"negative", "Positive", "0"};
	CU_ASSERT_EQUAL(dataset_label("negative", labels, 3), 0);
	CU_ASSERT_EQUAL(dataset_label("POSITIVE", labels, 3), 1);
	CU_ASSERT_EQUAL(dataset_label("1", labels, 3), 1);
	CU_ASSERT_EQUAL(dataset_label("0", labels, 3), 2); /* a name has precedence over a number */
	CU_ASSERT_EQUAL(dataset_label("3", labels, 3), -1);
	CU_ASSERT_EQUAL(dataset_label("-1", labels, 3), -1);
	CU_ASSERT_EQUAL(dataset_label("", labels, 3), -1);
	CU_ASSERT_EQUAL(dataset_label("1x", labels, 3), -1);
}

static void test_shared(void)
{
	static const struct {
		const char *path;
		DataForm form;
		int32_t rows;
		bool paired;
	} files[] = {
		{"sst2/dev.tsv", DATA_LABELS, 872, false},
		{"sst2/test.tsv", DATA_LABELS, 1821, false},
		{"mrpc/dev.tsv", DATA_LABELS, 408, true},
		{"stsb/sts-test.tsv", DATA_SCORES, 1379, true},
		{"stsb/sts-dev.tsv", DATA_SCORES, 1500, true},
		{"banking77/test.csv", DATA_LABELS, 3080, false},
		{"ncbi_disease/test.tsv", DATA_TAGS, 940, false},
	};
	const char *shared = getenv("SHARED");
	if (!shared || !*shared) {
		puts("  (files of SHARED: skipped, the variable is not set)");
		return;
	}
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char path[1024];
		Diag diag;
		Dataset d;
		snprintf(path, sizeof path, "%s/data/%s", shared, files[i].path);
		diag_init(&diag, path);
		CU_ASSERT(dataset_read(path, &d, &diag));
		diag_print(&diag, stderr);
		CU_ASSERT_EQUAL(d.form, files[i].form);
		CU_ASSERT_EQUAL(d.nrows, files[i].rows);
		if (d.nrows != files[i].rows)
			printf("  %s: %d rows\n", path, d.nrows);
		for (int32_t r = 0; r < d.nrows; r++)
			CU_ASSERT_EQUAL(d.rows[r].pair != NULL, files[i].paired);
		dataset_free(&d);
		diag_free(&diag);
	}
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"labels", test_labels},
		{"csv", test_csv},
		{"scores", test_scores},
		{"tags", test_tags},
		{"other tags", test_other_tags},
		{"refusals", test_refusals},
		{"texts", test_texts},
		{"label names", test_label_names},
		{"shared files", test_shared},
	};
	return SUITE_RUN("datasets", tests);
}
