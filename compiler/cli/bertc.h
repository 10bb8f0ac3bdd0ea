/* bertc.h: declarations that the subcommands share. main.c finds the subcommand. cmd_NAME.c has its options,
 * its work, and a Usage that describes both to command.c, which runs it. */
#ifndef BERTC_H
#define BERTC_H
#include <argp.h>
#include "compiler/build/build.h"
#include "compiler/measure/program.h"
#include "compiler/support/files.h"
#include "compiler/tokenizer/tokenizer.h"

#define COMMAND(function, name, doc) int cmd_##function(int argc, char **argv);
#include "commands.def"
#undef COMMAND

/* The type of the member that stores an option's value. Without a value, a flag becomes true and an int
 * becomes the option's `least`. */
typedef enum OptionKind {
	OPTION_TEXT,
	OPTION_FLAG,
	OPTION_INT,
	OPTION_CHOICE, /* an enum: the index of the word */
	OPTION_LARGE,  /* uint64_t */
	OPTION_REAL,
} OptionKind;

/* The kind and the place of a member of the options: three columns of a CommandOption. */
#define INTO(type, member) \
	.kind = _Generic(((type *)0)->member, \
		const char *: OPTION_TEXT, \
		bool: OPTION_FLAG, \
		int: OPTION_INT, \
		unsigned: OPTION_CHOICE, \
		uint64_t: OPTION_LARGE, \
		double: OPTION_REAL), \
	.at = offsetof(type, member)
#define WORDS(array) .words = array, .nwords = sizeof array / sizeof *array

/* An option of a command. A table of them ends with a row without a doc. */
typedef struct CommandOption {
	const char *name;  /* --name; NULL: only a letter, or a heading */
	const char *value; /* name of its value in --help; NULL: it takes none */
	const char *doc;
	OptionKind kind;
	size_t at;
	double least, most; /* of a number; most: of an option that may be repeated, how often */
	/* Handles an option that does more than fill a member. */
	void (*call)(const struct CommandOption *, void *options, char *text, struct argp_state *);
	const char *needed;       /* the error when it was not given */
	const char *const *words; /* the values that are allowed; NULL: any */
	unsigned nwords;
	int letter, group; /* group: 0 is that of the row above */
	bool optional;     /* the value may be left out */
} CommandOption;

/* A command. Its options are a struct that begins with a BuildOptions, and it also accepts the options of
 * `build`. A plain command has neither. */
typedef struct Usage {
	const char *arguments, *doc;  /* as --help prints them; in doc, what follows \v comes last */
	const CommandOption *options; /* of its own; NULL: none */
	/* Takes a word that is not an option; NULL: the word is the MODEL. */
	void (*word)(void *options, char *word, struct argp_state *);
	const char *no_words; /* the error when there is none; NULL: that there is no model */
	/* Called after the last word: refuses options that exclude each other. */
	void (*check)(void *options, struct argp_state *);
	/* Does the work of the command. Returns the exit code, which is used if no error was reported. */
	int (*work)(void *options, Loaded *, Diag *);
	bool plain;
	bool loads; /* command.c loads the model first; else the command loads models itself */
	bool quiet; /* no notes about builds */
} Usage;

/* cmd_passes.c: text in 80 columns. print_wrapped prints it from column `at` on, breaks lines after spaces,
 * commas and |, and continues at column `indent`. print_entry prints "  NAME   text", the text from column
 * `indent` on. */
void print_wrapped(int at, int indent, const char *text);
void print_entry(const char *name, int indent, const char *text);

/* command.c: a command from its first word to its exit code. `options` is the first member of the command's
 * own, which hold their defaults. A usage error ends the process with exit 2. */
int command_run(const Usage *, int argc, char **argv, BuildOptions *options);
/* Parses only the options. */
void command_parse(const Usage *, int argc, char **argv, void *options);
/* Makes the result a program in the directory. Returns its path, malloc'd, which the options refer to. */
char *result_program(BuildOptions *, const char *directory);
/* For `call`: option_number parses a number within the option's limits; option_append adds the text to a list
 * that ends with NULL; option_model sets the MODEL; option_refuse reports a usage error. */
double option_number(const CommandOption *, const char *text, struct argp_state *);
void option_append(const CommandOption *, const char **list, const char *text, struct argp_state *);
void option_model(BuildOptions *, const char *word, struct argp_state *);
void option_refuse(const CommandOption *, const char *text, const char *expected, struct argp_state *);

/* options.c: the options of `build`, which every command that builds has. */
extern const CommandOption build_table[];
void build_options_init(BuildOptions *, int argc, char **argv);
#endif
