/*
 * shmlua.c: a Lua interpreter with shm inside: one script as lua5.4 runs it, or in N processes that
 * share an arena. options.c has the command line, script.c a state, repl.c the terminal,
 * supervise.c the workers. Touches lua.h, core.
 */
#include "host/call.h"
#include "host/chunk.h"
#include "host/options.h"
#include "host/script.h"
#include "host/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Somebody may have closed standard input or output: what is opened next, the memory that all
 * workers share, would take its place, and be printed to. Opened the wrong way round, they fail as
 * they would have.
 */
static void occupy_standard_files(void) {
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl(fd, F_GETFD) == -1 && errno == EBADF)
      (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

static int run_workers(const struct options *options, const struct chunk *chunk) {
  shmx_arena arena = {0};
  shmx_options creation = {.flags = SHMX_NORESERVE};
  int status = shmx_arena_open(&arena, shmx_anonymous(), options->arena, &creation);
  if (status != 0) {
    say(options, "the arena of %zu bytes %s; say a smaller --arena", options->arena,
        shmx_error_text(status));
    return EXIT_FAILURE;
  }
  int code = supervise(options, chunk, &arena);
  shmx_arena_close(&arena);
  return code;
}

static int run_group(const struct options *options) {
  char message[512];
  struct chunk chunk = {0};
  int code = EXIT_FAILURE;
  occupy_standard_files();
  if (!options->has_script ||
      chunk_compile(&chunk, options_script(options), message, sizeof message))
    code = run_workers(options, &chunk);
  else
    say(options, "%s", message);
  free(chunk.data);
  return code;
}

static int run(const struct options *options) {
  if (options->help) {
    printf(options_usage, options->program);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
  }
  if (options->version) options_print_version();
  return options->workers > 0 ? run_group(options) : script_run(options, NULL);
}

int main(int argc, char **argv) {
  struct options options;
  if (getpid() == 1) call_end_on_signals();
  int code = options_read(&options, argc, argv) ? run(&options) : EXIT_FAILURE;
  free(options.steps);
  return code;
}
