/* options.h: what the command line of shmlua says. Touches libc. */
#ifndef SHMX_HOST_OPTIONS_H
#define SHMX_HOST_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum { WORKERS_MAX = 256 }; /* an arena has places for 512 handles */

/* One thing that is done before the script, in the order of the command line. */
struct step {
  char option;      /* 'e', 'l' or 'W' */
  const char *text; /* a statement; a module, or name=module; NULL */
};

struct options {
  int argc;
  char **argv;
  const char *program; /* what messages begin with */
  struct step *steps;  /* step_count of them */
  int step_count;
  int script; /* where argv has it, "-" is standard input; argc where there is none */
  bool has_script, executes, interactive, version, no_environment, help;
  int workers;         /* 0: no workers, but as lua5.4 does */
  size_t arena;        /* bytes */
  long restarts;       /* how many workers are restarted, in all */
  bool restart_failed; /* also such as end with another exit code than 0, not only by a signal */
  double grace;        /* seconds between SIGTERM and SIGKILL */
};

/* Reads the command line; false after it has said what is wrong with it. The steps are the caller's
 * to free, in any case. */
bool options_read(struct options *options, int argc, char **argv);

/* What --help prints. */
extern const char options_usage[];

void options_print_version(void);

/* The file that the script is in; NULL for standard input. */
const char *options_script(const struct options *options);

/* Says something on standard error, behind the name of the program, in a line. */
__attribute__((format(printf, 2, 3))) void say(const struct options *options, const char *format,
                                               ...);

#endif
