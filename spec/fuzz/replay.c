/*
 * replay.c: runs a fuzz target over files, and over those of folders, without libFuzzer.
 *   arena_replay spec/fuzz/corpus/arena
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGEST = 1 << 16, SECONDS = 20 /* that a file may take, on a busy machine */ };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned files;

/* The file is named first, so that it is known when the target aborts. */
static void run_file(const char *path) {
  static uint8_t data[LARGEST];
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    exit(1);
  }
  size_t size = fread(data, 1, sizeof data, file);
  fclose(file);
  FILE *note = getenv("VERBOSE") != NULL ? stderr : NULL;
  if (note != NULL) fprintf(note, "%s\n", path);
  alarm(SECONDS);
  LLVMFuzzerTestOneInput(data, size);
  alarm(0);
  files++;
}

static void run(const char *path) {
  struct stat found;
  if (stat(path, &found) != 0 || !S_ISDIR(found.st_mode)) {
    run_file(path);
    return;
  }
  struct dirent **entries;
  int count = scandir(path, &entries, NULL, alphasort);
  for (int i = 0; i < count; i++) {
    char inside[4096];
    snprintf(inside, sizeof inside, "%s/%s", path, entries[i]->d_name);
    if (entries[i]->d_name[0] != '.') run(inside);
    free(entries[i]);
  }
  if (count >= 0) free(entries);
}

int main(int count, char **arguments) {
  for (int i = 1; i < count; i++)
    run(arguments[i]);
  printf("%u inputs\n", files);
  return files > 0 ? 0 : 1;
}
