/* spm_file.h: a SentencePiece .model file. */
#ifndef SPM_FILE_H
#define SPM_FILE_H
#include "tokenizer_import.h"

enum { SPM_NORMAL = 1, SPM_UNKNOWN, SPM_CONTROL, SPM_USER_DEFINED, SPM_UNUSED, SPM_BYTE };
enum { SPM_UNIGRAM = 1, SPM_BPE };
typedef struct SpmPiece {
	const char *text; /* lives in the arena */
	float score;
	int32_t type; /* SPM_NORMAL, .. */
} SpmPiece;
typedef struct SpmFile {
	TokenizerImport *import;
	char *data;
	List pieces;  /* SpmPiece */
	int32_t kind; /* SPM_UNIGRAM, .. */
	int32_t unk_id;
	bool fallback;
	const uint8_t *charsmap; /* NULL: none */
	size_t charsmap_bytes;
} SpmFile;
/* Reads import->path. False and a message if it is malformed. Free it in any case. */
bool spm_read(SpmFile *, TokenizerImport *);
void spm_free(SpmFile *);
/* spm_bpe.c: sets the model BPE, whose vocabulary the class has put in order. False and a message on error.
 */
bool spm_bpe(const SpmFile *, const char *const *texts, const double *scores, size_t count);
#endif
