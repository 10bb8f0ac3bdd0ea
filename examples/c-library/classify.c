/* Uses an emitted library: classifies its arguments. Built by one line:
 *     cc classify.c libsentiment.a -o classify -lm -lpthread
 */
#include "sentiment.h"
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	sentiment *model = sentiment_new(1);
	if (!model) {
		fprintf(stderr, "classify: %s\n", sentiment_why());
		return 1;
	}
	for (int i = 1; i < argc; i++) {
		const char *text = argv[i];
		size_t bytes = strlen(text);
		float scores[SENTIMENT_LABELS];
		int32_t best;
		int status = sentiment_classify(model, &text, &bytes, NULL, NULL, 1, scores, SENTIMENT_LABELS, &best);
		if (status != 0) {
			fprintf(stderr, "classify: %s\n", sentiment_strerror(status));
			return 1;
		}
		printf("%s\t%s\n", sentiment_label(best), text);
	}
	sentiment_free(model);
	return 0;
}
