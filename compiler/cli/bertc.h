/* bertc.h: what the subcommands share. main.c is the table of contents; cmd_NAME.c is a subcommand. */
#ifndef BERTC_H
#define BERTC_H
#include <argp.h>
#include "compiler/build/build.h"
#include "compiler/measure/program.h"
#include "compiler/support/files.h"
#include "compiler/tokenizer/tokenizer.h"

#define COMMAND(function, name, arguments, doc) int cmd_##function(int argc, char **argv);
#include "commands.def"
#undef COMMAND

/* The end of a command: prints the messages and frees what build_options_init took. Returns the exit code,
 * which is that of the messages where one is an error. */
int command_end(BuildOptions *, Diag *, int status);

/* options.c: options of build and of every command that builds. */
void build_options_init(BuildOptions *, int argc, char **argv);
/* A child parser: its `input` is a BuildOptions. Commands list it in .children. */
extern const struct argp build_argp;
/* The number that an option was given, within [least, most]; the one MODEL of a command, and that it lacks
 * one. A usage error ends the process with exit 2. */
double option_number(struct argp_state *, const char *name, const char *text, double least, double most);
void option_model(struct argp_state *, BuildOptions *, const char *argument);
void option_no_model(struct argp_state *);
#endif
