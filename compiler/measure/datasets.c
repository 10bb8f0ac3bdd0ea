/* datasets.c: see datasets.h. A table is read in three steps. Its lines are cut into records of fields; TSV
 * and CSV differ only there. Its form is found from the header or, without one, from the shape of the first
 * records. Each record then becomes a row. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "compiler/support/files.h"
#include "data_looks.h"
#include "datasets.h"

#define DATA_FORMS \
	"TSV with a text and a label per line, MRPC, STS-B, CSV or TSV with a header that names the text and " \
	"label " \
	"columns, CoNLL (a word and its tag per line, a blank line after each text) or CoNLL-U"
#define OR_PLAIN ", or plain text: one text per line, no tabs"
enum { FIELDS_MAX = 64, CHOICES_MAX = FIELDS_MAX, PROBE_ROWS = 20, ROWS_MAX = 1 << 26 };

typedef struct Record {
	const char *field[FIELDS_MAX];
	int32_t nfields, line;
} Record;

/* The text being read. It is cut into fields in place. */
typedef struct Reader {
	char *at, *end;
	int32_t line;
	bool csv, failed;
	DataUse use;
	Diag *diag;
} Reader;

/* ---- records --------------------------------------------------------------------------------- */

static void add_field(Reader *r, Record *record, const char *field)
{
	if (record->nfields < FIELDS_MAX)
		record->field[record->nfields++] = field;
	else if (!r->failed) {
		r->failed = true;
		diag_error(r->diag, EXIT_INPUT, record->line, "more than %d columns", FIELDS_MAX);
	}
}

/* Reads one line of fields separated by tabs. */
static void read_tsv(Reader *r, Record *record)
{
	char *start = r->at, *stop = memchr(start, '\n', (size_t)(r->end - start));
	if (!stop)
		stop = r->end;
	r->at = stop < r->end ? stop + 1 : stop;
	r->line++;
	*stop = '\0';
	if (stop > start && stop[-1] == '\r')
		stop[-1] = '\0';
	for (;;) {
		char *tab = strchr(start, '\t');
		add_field(r, record, start);
		if (!tab)
			break;
		*tab = '\0';
		start = tab + 1;
	}
}

/* Reads a quoted field in place; "" in it is a quote. Returns the position after the closing quote. */
static char *read_quoted(Reader *r, Record *record, char *at)
{
	char *to = at;
	add_field(r, record, at);
	for (; at < r->end; at++) {
		if (*at == '"' && at + 1 < r->end && at[1] == '"')
			at++;
		else if (*at == '"')
			break;
		r->line += *at == '\n';
		*to++ = *at;
	}
	if (at >= r->end && !r->failed) {
		r->failed = true;
		diag_error(r->diag, EXIT_INPUT, record->line, "a quoted field has no closing quote");
		return r->end;
	}
	*to = '\0';
	return at + 1;
}

/* Reads one record by RFC 4180: fields separated by commas; a quoted field may hold commas and newlines. */
static void read_csv(Reader *r, Record *record)
{
	char *at = r->at;
	for (;;) {
		if (at < r->end && *at == '"') {
			at = read_quoted(r, record, at + 1);
			if (at < r->end && *at == '\r')
				at++;
		} else {
			add_field(r, record, at);
			at += strcspn(at, ",\n");
		}
		if (r->failed || at >= r->end)
			break;
		if (*at != ',' && *at != '\n') {
			r->failed = true;
			diag_error(r->diag, EXIT_INPUT, r->line,
				"text after a quoted field; expected a comma or the end of the line");
			return;
		}
		const bool more = *at == ',';
		*at++ = '\0';
		if (!more) {
			if (at - 2 >= r->at && at[-2] == '\r')
				at[-2] = '\0';
			break;
		}
	}
	r->line++;
	r->at = at < r->end ? at : r->end;
}

static bool read_record(Reader *r, Record *record)
{
	if (r->at >= r->end || r->failed)
		return false;
	*record = (Record){.line = r->line};
	if (r->csv)
		read_csv(r, record);
	else
		read_tsv(r, record);
	return !r->failed;
}

/* ---- form ------------------------------------------------------------------------------------ */

/* The column of each part of a row; -1: there is none. */
typedef struct Layout {
	int text, pair, label, score, fields, nchoices, choice[CHOICES_MAX];
	bool header;
	const char *what;
} Layout;

static bool is_number(const char *text, double *value)
{
	char *end;
	*value = strtod(text, &end);
	return end != text && *end == '\0' && isfinite(*value);
}

static bool is_blank(const Record *r) { return r->nfields == 1 && r->field[0][0] == '\0'; }

static bool is_tag(const char *text)
{
	return strcmp(text, "O") == 0 || ((text[0] == 'B' || text[0] == 'I') && text[1] == '-' && text[2]);
}

/* The column with one of these names (separated by spaces) in the header. */
static int named(const Record *header, const char *names)
{
	for (int i = 0; i < header->nfields; i++)
		for (const char *at = names; *at; at += strspn(at, " ")) {
			const size_t length = strcspn(at, " ");
			if (length > 0 && strncasecmp(header->field[i], at, length) == 0
				&& header->field[i][length] == '\0')
				return i;
			at += length;
		}
	return -1;
}

/* The columns choice0, choice1, .. up to the first that is missing. */
static void find_choices(const Record *header, Layout *layout)
{
	char names[64];
	for (int k = 0; k < CHOICES_MAX; k++) {
		snprintf(names, sizeof names, "choice%d", k);
		layout->choice[k] = named(header, names);
		if (layout->choice[k] < 0)
			break;
		layout->nchoices++;
	}
	if (layout->nchoices > 0) {
		layout->pair = layout->choice[0];
		layout->what = "columns of choices named by the header";
	}
}

/* texts: no column of labels is needed. */
static bool layout_of_header(const Record *header, bool texts, Layout *layout)
{
	*layout = (Layout){.text = named(header, "sentence text sentence1 question question1 premise query"),
		.pair = named(header, "sentence2 question2 hypothesis passage answer context"),
		.label = named(header, "label category class quality gold_label is_duplicate"),
		.score = named(header, "score similarity"),
		.fields = header->nfields,
		.header = true,
		.what = "columns named by the header"};
	if (layout->label < 0 && layout->score < 0 && !texts)
		return false;
	find_choices(header, layout);
	if (header->nfields == 5
		&& strcmp(header->field[0], "Quality") == 0) { /* MRPC: "#1 String", "#2 String" */
		layout->text = 3;
		layout->pair = 4;
		layout->what = "MRPC: label, two ids, two texts";
	}
	return layout->text >= 0;
}

/* Finds the layout from the first records of a file without a header. */
static bool layout_of_shape(const Record *records, int n, Layout *layout)
{
	double number;
	int scored = 0, paired = 0, labelled = 0;
	for (int i = 0; i < n; i++) {
		scored += records[i].nfields >= 7 && records[i].nfields <= 9
			&& is_number(records[i].field[4], &number);
		paired += records[i].nfields == 5 && is_number(records[i].field[0], &number);
		labelled += records[i].nfields == 2;
	}
	if (scored == n)
		*layout = (Layout){.text = 5,
			.pair = 6,
			.label = -1,
			.score = 4,
			.fields = 7,
			.what = "STS-B: score in column 5, texts in 6 and 7"};
	else if (paired == n)
		*layout = (Layout){.text = 3,
			.pair = 4,
			.label = 0,
			.score = -1,
			.fields = 5,
			.what = "MRPC: label, two ids, two texts"};
	else if (labelled == n)
		*layout = (Layout){
			.text = 0, .pair = -1, .label = 1, .score = -1, .fields = 2, .what = "two columns: text, label"};
	return scored == n || paired == n || labelled == n;
}

/* Plain text: one text per line, no tabs. */
static bool layout_of_lines(const Record *records, int n, Layout *layout)
{
	*layout = (Layout){.pair = -1, .label = -1, .score = -1, .fields = 1, .what = "plain text"};
	for (int i = 0; i < n; i++)
		if (records[i].nfields > 1)
			return false;
	return true;
}

static bool find_layout(const Reader *r, const Record *records, int n, Layout *layout)
{
	const bool texts = r->use == DATA_FOR_TEXTS;
	if (layout_of_header(&records[0], texts, layout) || (!r->csv && layout_of_shape(records, n, layout)))
		return true;
	const bool plain = !r->csv && layout_of_lines(records, n, layout);
	return (plain && texts)
		|| diag_error(r->diag, EXIT_INPUT, 1, "unknown format%s; expected " DATA_FORMS "%s",
			plain ? " of labelled data: plain text has no labels, which are needed here" : "",
			texts ? OR_PLAIN : "");
}

/* ---- rows ------------------------------------------------------------------------------------ */

static DataRow *new_row(Dataset *data, size_t *capacity)
{
	data->rows = mem_grow(data->mem, data->rows, capacity, (size_t)data->nrows + 1, sizeof *data->rows);
	return &data->rows[data->nrows++];
}

static bool add_row(Dataset *data, const Layout *layout, const Record *record, size_t *capacity, Diag *diag)
{
	const int last = layout->fields;
	if (last == 1 && record->nfields > 1)
		return diag_error(diag, EXIT_INPUT, record->line,
			"has a tab, unlike the lines before; expected plain text without tabs, or a table with a header");
	if (record->nfields < last)
		return diag_error(diag, EXIT_INPUT, record->line, "%d columns, expected %d", record->nfields, last);
	DataRow row = {.text = record->field[layout->text], .line = record->line};
	if (layout->pair >= 0)
		row.pair = record->field[layout->pair];
	if (layout->score >= 0 && !is_number(record->field[layout->score], &row.score))
		return diag_error(
			diag, EXIT_INPUT, record->line, "score \"%s\" is not a number", record->field[layout->score]);
	if (layout->label >= 0 && layout->score < 0)
		row.label = record->field[layout->label];
	row.nchoices = layout->nchoices;
	row.choices = mem_alloc(data->mem, (size_t)layout->nchoices * sizeof *row.choices);
	for (int k = 0; k < layout->nchoices; k++)
		row.choices[k] = record->field[layout->choice[k]];
	*new_row(data, capacity) = row;
	return true;
}

/* Adds a row: the text is the words joined by spaces. */
static void end_sentence(Dataset *data, const Record *words, int32_t n, size_t *capacity)
{
	size_t bytes = 1;
	for (int32_t i = 0; i < n; i++)
		bytes += strlen(words[i].field[0]) + 1;
	char *text = mem_alloc(data->mem, bytes), *at = text;
	DataRow row = {.text = text,
		.nwords = n,
		.line = words[0].line,
		.words = mem_alloc(data->mem, (size_t)n * sizeof *row.words),
		.tags = mem_alloc(data->mem, (size_t)n * sizeof *row.tags)};
	for (int32_t i = 0; i < n; i++) {
		at += sprintf(at, "%s%s", i ? " " : "", words[i].field[0]);
		row.words[i] = words[i].field[0];
		row.tags[i] = words[i].field[words[i].nfields - 1];
	}
	*new_row(data, capacity) = row;
}

/* The columns of words and tags in a file. */
typedef struct TagForm {
	int word, tag;
	bool bio, spaces, comments;
	const char *what;
} TagForm; /* tag -1: the last column */

/* Splits a line at its spaces. */
static void cut_at_spaces(Record *record)
{
	char *rest = (char *)record->field[0];
	for (record->nfields = 0; rest && record->nfields < FIELDS_MAX;)
		record->field[record->nfields++] = strsep(&rest, " ");
}

/* True for lines to skip. CoNLL-U numbers words 1, 2, ..; the line "3-4" repeats words 3 and 4 as written,
 * and "3.1" is a word that is not in the text. */
static bool is_no_word(const TagForm *form, const Record *record)
{
	if (form->comments)
		return record->field[0][0] == '#'
			|| (record->nfields > 1 && record->field[0][strspn(record->field[0], "0123456789")] != '\0');
	return strcmp(record->field[0], "-DOCSTART-") == 0;
}

static bool parse_tags(Reader *r, const TagForm *form, Dataset *data)
{
	enum { WORDS_MAX = 1 << 16 };
	Record *words = checked_malloc(WORDS_MAX * sizeof *words), record;
	int32_t n = 0;
	size_t capacity = 0;
	bool ok = true;
	while (ok && read_record(r, &record)) {
		if (form->spaces && record.nfields == 1 && strchr(record.field[0], ' '))
			cut_at_spaces(&record);
		const int last = form->tag < 0 ? record.nfields - 1 : form->tag;
		if (is_blank(&record)) {
			if (n > 0)
				end_sentence(data, words, n, &capacity);
			n = 0;
		} else if (is_no_word(form, &record))
			continue;
		else if (record.nfields < 2 || last >= record.nfields || !record.field[form->word][0]
			|| !record.field[last][0] || (form->bio && !is_tag(record.field[last])))
			ok = diag_error(r->diag, EXIT_INPUT, record.line, "expected a word and its tag%s",
				form->bio ? " (O, B-TYPE or I-TYPE)" : "");
		else if (n == WORDS_MAX)
			ok = diag_error(r->diag, EXIT_INPUT, record.line,
				"a text has more than %d words; put a blank line after each text", WORDS_MAX);
		else {
			words[n] = (Record){
				.field = {record.field[form->word], record.field[last]}, .nfields = 2, .line = record.line};
			n++;
		}
	}
	if (ok && n > 0)
		end_sentence(data, words, n, &capacity);
	free(words);
	return ok && !r->failed;
}

static bool parse_table(Reader *r, Dataset *data)
{
	Record *probe = checked_calloc(PROBE_ROWS, sizeof *probe), record;
	Layout layout = {0};
	int32_t n = 0;
	size_t capacity = 0;
	bool ok = true;
	while (n < PROBE_ROWS && read_record(r, &record))
		if (!is_blank(&record))
			probe[n++] = record;
	if (r->failed)
		ok = false;
	else if (n == 0)
		ok = diag_error(r->diag, EXIT_INPUT, 0, "has no rows");
	else
		ok = find_layout(r, probe, n, &layout);
	data->what = layout.what;
	data->form = layout.label >= 0 ? DATA_LABELS : DATA_TEXTS;
	if (layout.score >= 0)
		data->form = DATA_SCORES;
	else if (layout.nchoices > 0 && layout.label >= 0)
		data->form = DATA_CHOICES;
	for (int32_t i = layout.header; ok && i < n; i++)
		ok = add_row(data, &layout, &probe[i], &capacity, r->diag);
	while (ok && read_record(r, &record))
		if (!is_blank(&record))
			ok = add_row(data, &layout, &record, &capacity, r->diag);
	free(probe);
	if (ok && !r->failed && data->form == DATA_SCORES && layout.pair < 0)
		return diag_error(r->diag, EXIT_INPUT, 1, "has a score column but no column for the second text");
	return ok && !r->failed;
}

/* Finds the form of a file of words and tags. tagged: the caller knows that it is one. False: a table. */
static bool tags_form(const char *text, bool tagged, TagForm *form)
{
	if (looks_conllu(text))
		*form = (TagForm){1, 3, false, false, true, "CoNLL-U: words and parts of speech"};
	else if (looks_tagged(text))
		*form = (TagForm){0, -1, true, true, false, "CoNLL: words and BIO tags"};
	else if (looks_worded(text, tagged))
		*form = (TagForm){0, -1, false, tagged, false, "CoNLL: words and tags"};
	else
		return false;
	return true;
}

bool dataset_parse(const char *text, size_t bytes, bool csv, DataUse use, Dataset *data, Diag *diag)
{
	const size_t bom = bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	*data = (Dataset){.mem = mem_new()};
	char *copy = mem_string(data->mem, text + bom, bytes - bom);
	Reader reader = {
		.at = copy, .end = copy + (bytes - bom), .line = 1, .csv = csv, .use = use, .diag = diag};
	const char *nul = memchr(copy, '\0', bytes - bom);
	TagForm form;
	if (nul)
		return diag_error(diag, EXIT_INPUT, 0, "has a zero byte; expected a text file");
	if (looks_json(copy))
		return diag_error(
			diag, EXIT_INPUT, 1, "is JSON; expected " DATA_FORMS "%s", use == DATA_FOR_TEXTS ? OR_PLAIN : "");
	bool ok;
	if (!csv && tags_form(copy, use == DATA_FOR_TAGS, &form)) {
		data->form = DATA_TAGS;
		data->what = form.what;
		ok = parse_tags(&reader, &form, data);
	} else
		ok = parse_table(&reader, data);
	if (ok && data->nrows == 0)
		ok = diag_error(diag, EXIT_INPUT, 0, "has no rows");
	return ok;
}

static bool read_file(const char *path, DataUse use, Dataset *data, Diag *diag)
{
	const char *suffix = strrchr(path, '.');
	size_t bytes;
	char *text = file_read(path, DATASET_BYTES_MAX, &bytes, diag);
	*data = (Dataset){0};
	if (!text)
		return false;
	const char *before = diag->file;
	diag->file = path;
	const bool ok = dataset_parse(text, bytes, suffix && strcasecmp(suffix, ".csv") == 0, use, data, diag);
	diag->file = before;
	free(text);
	return ok;
}

bool dataset_read(const char *path, Dataset *data, Diag *diag)
{
	return read_file(path, DATA_FOR_LABELS, data, diag);
}

bool dataset_read_tags(const char *path, Dataset *data, Diag *diag)
{
	return read_file(path, DATA_FOR_TAGS, data, diag);
}

bool dataset_read_texts(const char *path, Dataset *data, Diag *diag)
{
	return read_file(path, DATA_FOR_TEXTS, data, diag);
}

void dataset_free(Dataset *data)
{
	if (data->mem)
		mem_free(data->mem);
	*data = (Dataset){0};
}

int32_t dataset_label(const char *label, const char *const *labels, int32_t nlabels)
{
	char *end;
	for (int32_t i = 0; i < nlabels; i++)
		if (strcmp(labels[i], label) == 0)
			return i;
	for (int32_t i = 0; i < nlabels; i++)
		if (strcasecmp(labels[i], label) == 0)
			return i;
	const long number = strtol(label, &end, 10);
	return end != label && *end == '\0' && number >= 0 && number < nlabels ? (int32_t)number : -1;
}
