/* lex.rl: the tokens of .bir text as regular expressions. parse.c has the grammar. The input may be any
 * bytes: a byte that begins no token becomes TOKEN_BAD, so the lexer never stops early or loops. */
#include <string.h>
#include "lex.h"

%%{
	machine bir;

	letter = [A-Za-z_];
	string = '"' ( [^"\\\n] | '\\' [^\n] )* '"';
	digits = [0-9]+;
	sign   = [+\-]?;

	main := |*
		[ \t\r]+ ;
		'\n'                                                 => { kind = TOKEN_LINE_END; fbreak; };
		'#' [^\n]*                                           => { kind = TOKEN_COMMENT; fbreak; };
		[=,:{}()\[\]]                                        => { kind = *ts; fbreak; };
		sign digits                                          => { kind = TOKEN_INT; fbreak; };
		sign digits ( '.' digits )? ( [eE] sign digits )?    => { kind = TOKEN_REAL; fbreak; };
		sign ( 'inf' | 'nan' )                               => { kind = TOKEN_REAL; fbreak; };
		letter (letter | [0-9])* ( '-' letter (letter | [0-9])* )*  => { kind = TOKEN_WORD; fbreak; };
		string                                               => { kind = TOKEN_STRING; fbreak; };
		'%' ( [A-Za-z0-9_.\-]+ | string )                   => { kind = TOKEN_VALUE; fbreak; };
		'@' ( [A-Za-z0-9_./\-]+ | string )                  => { kind = TOKEN_SYMBOL; fbreak; };
		any                                                  => { kind = TOKEN_BAD; fbreak; };
	*|;
}%%

%% write data nofinal noerror noentry;

void lex_start(Lexer *lexer, const char *text, size_t bytes)
{
	lexer->at = text;
	lexer->end = text + bytes;
	lexer->line = 1;
}

Token lex_next(Lexer *lexer)
{
	const char *p = lexer->at, *pe = lexer->end, *eof = pe, *ts = p, *te = p;
	int cs = bir_start, act = 0, kind = TOKEN_END;
	(void)act;
	if (p < pe) {
		%% write exec;
	}
	/* Blanks at the very end match without making a token. */
	Token token = {.kind = kind, .text = kind == TOKEN_END ? lexer->end : ts, .line = lexer->line};
	token.bytes = kind == TOKEN_END ? 0 : (size_t)(te - ts);
	lexer->at = kind == TOKEN_END ? lexer->end : te;
	if (kind == TOKEN_LINE_END)
		lexer->line++;
	return token;
}

void lex_skip_line(Lexer *lexer)
{
	const size_t left = lexer->at < lexer->end ? (size_t)(lexer->end - lexer->at) : 0;
	const char *newline = left ? memchr(lexer->at, '\n', left) : NULL;
	lexer->at = newline ? newline : lexer->end;
}
