/* options.c: reads the command line: lua5.4's options, and those for workers. Touches libc, lua.h.
 */
#include "host/options.h"
#include "lua/shmx_lua.h"
#include "shmx.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lua.h>

enum { ARENA_MIN = 8192, DEFAULT_GRACE = 5 };

#define DEFAULT_ARENA ((size_t)64 << 20)

const char options_usage[] =
    "usage: %s [options] [script [args]]\n"
    "Runs a Lua script, as lua5.4 does, with the module shm inside.\n"
    "  -e stat            execute string 'stat'\n"
    "  -i                 enter interactive mode after executing 'script'\n"
    "  -l mod             require library 'mod' into global 'mod'\n"
    "  -l g=mod           require library 'mod' into global 'g'\n"
    "  -v                 show version information\n"
    "  -E                 ignore environment variables\n"
    "  -W                 turn warnings on\n"
    "  --                 stop handling options\n"
    "  -                  stop handling options and execute stdin\n"
    "  -j N               run the script in N processes (1 to 256, or auto: shm.cpus()), which "
    "have\n"
    "                     shm.worker.arena in common, and shm.worker.index, shm.worker.count\n"
    "  --arena=SIZE       bytes of that arena, or with K, M, G: 64M; taken as they are used\n"
    "  --restart[=LIMIT]  restart workers that a signal kills, LIMIT times in all\n"
    "  --restart=always   restart also those that end with an error, or another exit code than 0\n"
    "  --grace=SECONDS    how long workers may take to end before they are killed: 5\n"
    "  --help             show this\n";

void say(const struct options *options, const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  fprintf(stderr, "%s: %s\n", options->program, text); /* one write: processes do not mix */
}

static bool refuse(const struct options *options, const char *what, const char *why) {
  fprintf(stderr, "%s: '%s' %s\n", options->program, what, why);
  fprintf(stderr, options_usage, options->program);
  return false;
}

static bool refuse_unknown(const struct options *options, const char *what) {
  fprintf(stderr, "%s: unrecognized option '%s'\n", options->program, what);
  fprintf(stderr, options_usage, options->program);
  return false;
}

/* ---- numbers ---- */

static int cores(void) {
  int count = shmx_cpus();
  return count < WORKERS_MAX ? count : WORKERS_MAX;
}

static bool parse_whole(const char *text, const char **end, unsigned long long *value) {
  if (*text < '0' || *text > '9') return false;
  char *stop;
  errno = 0;
  *value = strtoull(text, &stop, 10);
  *end = stop;
  return errno == 0;
}

static bool parse_workers(const char *text, int *workers) {
  unsigned long long value;
  const char *end;
  if (strcmp(text, "auto") == 0) return (*workers = cores()) > 0;
  if (!parse_whole(text, &end, &value) || *end != '\0') return false;
  if (value < 1 || value > WORKERS_MAX) return false;
  *workers = (int)value;
  return true;
}

static bool parse_size(const char *text, size_t *size) {
  static const char units[] = "KMGT";
  unsigned long long value;
  const char *end;
  if (!parse_whole(text, &end, &value)) return false;
  const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
  if (unit != NULL && end[1] == '\0') {
    int shift = 10 * (int)(unit - units + 1);
    if (value > UINT64_MAX >> shift) return false;
    value <<= shift;
    end++;
  }
  *size = (size_t)value;
  return *end == '\0' && value >= ARENA_MIN && value <= INT64_MAX;
}

static bool parse_limit(const char *text, long *limit) {
  unsigned long long value;
  const char *end;
  if (!parse_whole(text, &end, &value) || *end != '\0' || value > LONG_MAX) return false;
  *limit = (long)value;
  return true;
}

static bool parse_seconds(const char *text, double *seconds) {
  char *end;
  *seconds = strtod(text, &end);
  return end != text && *end == '\0' && isfinite(*seconds) && *seconds >= 0;
}

/* ---- options ---- */

/* "--name=value" has this name: its value, or "" where it has none; else NULL. */
static const char *long_value(const char *argument, const char *name) {
  size_t length = strlen(name);
  if (strncmp(argument, name, length) != 0) return NULL;
  return argument[length] == '=' ? argument + length + 1 : argument[length] == '\0' ? "" : NULL;
}

/* An option that begins with two dashes. */
static bool read_long(struct options *options, const char *argument, bool *for_group) {
  const char *value;
  *for_group = true;
  if ((value = long_value(argument, "--arena")) != NULL)
    return parse_size(value, &options->arena) ||
           refuse(options, argument, "is not bytes, at least 8192, or a number with K, M, G or T");
  if ((value = long_value(argument, "--restart")) != NULL) {
    options->restarts = LONG_MAX;
    options->restart_failed = strcmp(value, "always") == 0;
    return strcmp(argument, "--restart") == 0 || options->restart_failed ||
           parse_limit(value, &options->restarts) ||
           refuse(options, argument, "is not a number of restarts");
  }
  if ((value = long_value(argument, "--grace")) != NULL)
    return parse_seconds(value, &options->grace) ||
           refuse(options, argument, "is not a number of seconds");
  *for_group = false;
  if (strcmp(argument, "--help") != 0) return refuse_unknown(options, argument);
  options->help = true;
  return true;
}

static bool has_text(char option) {
  return option == 'e' || option == 'l' || option == 'j';
}

/* An option of a letter, with its text behind it or as the next argument; `i` moves on. */
static bool read_short(struct options *options, int *i) {
  char *argument = options->argv[*i];
  const char *text = NULL;
  char option = argument[1];
  if (has_text(option)) {
    bool apart = argument[2] == '\0', missing = false;
    text = apart ? options->argv[++*i] : argument + 2;
    if (apart) missing = text == NULL || (option != 'j' && *text == '-');
    if (missing) return refuse(options, argument, "needs argument");
  } else if (argument[2] != '\0' || strchr("ivEW", option) == NULL) {
    return refuse_unknown(options, argument);
  }
  switch (option) {
  case 'j':
    return parse_workers(text, &options->workers) ||
           refuse(options, text, "is no number of workers: -j takes 1 to 256, or auto");
  case 'i':
    options->interactive = options->version = true;
    return true;
  case 'v':
    options->version = true;
    return true;
  case 'E':
    options->no_environment = true;
    return true;
  default:
    options->executes |= option == 'e';
    options->steps[options->step_count++] = (struct step){option, text};
    return true;
  }
}

/* Do the options go with each other? `group` is one that means something with workers only. */
static bool check(const struct options *options, const char *group) {
  if (options->help) return true;
  if (options->workers == 0)
    return group == NULL || refuse(options, group, "is for workers: say -j N, too");
  if (options->interactive)
    return refuse(options, "-i", "is not for workers, who cannot all have the terminal");
  if (!options->has_script && !options->executes)
    return refuse(options, "-j", "needs a script, or -e");
  return true;
}

/* "-" is standard input, but after "--" the name of a file. */
const char *options_script(const struct options *options) {
  const char *path = options->argv[options->script];
  bool is_file = strcmp(path, "-") != 0 || strcmp(options->argv[options->script - 1], "--") == 0;
  return is_file ? path : NULL;
}

static const char *last_part(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

bool options_read(struct options *options, int argc, char **argv) {
  *options =
      (struct options){.argc = argc, .argv = argv, .arena = DEFAULT_ARENA, .grace = DEFAULT_GRACE};
  options->program = argc > 0 && argv[0][0] != '\0' ? last_part(argv[0]) : "shmlua";
  options->steps = calloc((size_t)argc + 1, sizeof *options->steps);
  if (options->steps == NULL) return say(options, "not enough memory"), false;
  const char *group = NULL;
  bool for_group;
  int i = 1;
  for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
    if (strcmp(argv[i], "--") == 0) {
      i++;
      break;
    }
    if (argv[i][1] != '-') {
      if (!read_short(options, &i)) return false;
    } else {
      if (!read_long(options, argv[i], &for_group)) return false;
      if (for_group) group = argv[i];
    }
  }
  options->script = i < argc ? i : argc;
  options->has_script = i < argc;
  return check(options, group);
}

void options_print_version(void) {
  printf("%s, %s\n", SHMX_LUA_VERSION, LUA_COPYRIGHT);
  fflush(stdout);
}
