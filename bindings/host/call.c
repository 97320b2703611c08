/* call.c: calls with tracebacks and signals. Touches lua.h, signals. */
#include "host/call.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static lua_State *interrupted; /* the state that a signal is for */
static volatile sig_atomic_t stop_signal;
static bool is_worker, was_stopped;
static void (*second_handler)(int) = SIG_DFL; /* of SIGINT, while the first one is on its way */

/* ---- signals ---- */

static const char *stop_text(int signal) {
  return signal == SIGINT ? "interrupted!" : "terminated!";
}

static void raise_in_script(lua_State *L, lua_Debug *unused) {
  (void)unused;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "%s", stop_text(stop_signal));
}

/* lua_sethook is the one function of Lua that a handler may call. */
static void interrupt(void) {
  int events = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT;
  lua_sethook(interrupted, raise_in_script, events, 1);
}

static void on_interrupt(int number) {
  signal(number, second_handler);
  stop_signal = number;
  interrupt();
}

static void listen(void (*handler)(int), int flags) {
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  sigfillset(&action.sa_mask); /* of two that come at once, the first is heard first */
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct sigaction before;
    sigaction(signals[i], NULL, &before);
    if (before.sa_handler != SIG_IGN) sigaction(signals[i], &action, NULL);
  }
}

static void on_second(int unused) {
  (void)unused;
}

/* Another one must not break off what the script does and writes on its way out. */
static void on_stop(int number) {
  stop_signal = number;
  listen(on_second, SA_RESTART);
  interrupt();
}

void call_stop_on_signals(lua_State *L) {
  interrupted = L;
  is_worker = true;
  listen(on_stop, 0); /* no SA_RESTART: reading ends, too */
}

int call_stopped_by(void) {
  return was_stopped ? stop_signal : 0;
}

int call_die_of(int number) {
  sigset_t set;
  fflush(NULL);
  signal(number, SIG_DFL);
  sigemptyset(&set);
  sigaddset(&set, number);
  raise(number);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  return SIGNAL_EXIT + number;
}

static void end_at_once(int number) {
  _exit(SIGNAL_EXIT + number);
}

void call_end_on_signals(void) {
  second_handler = end_at_once;
  listen(end_at_once, SA_RESTART);
}

/* ---- calls ---- */

/* Makes a text of whatever was raised, and puts a traceback behind it. */
static int explain(lua_State *L) {
  const char *message = lua_tostring(L, 1);
  if (message == NULL) {
    bool has_text = luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING;
    if (has_text) return 1; /* an object that says itself what it is about */
    message = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  }
  if (is_worker && stop_signal != 0) {
    const char *text = stop_text(stop_signal);
    size_t length = strlen(message), tail = strlen(text);
    was_stopped = length >= tail && strcmp(message + length - tail, text) == 0;
  }
  luaL_traceback(L, L, message, 1);
  return 1;
}

int call(lua_State *L, int arguments, int results) {
  int function = lua_gettop(L) - arguments;
  lua_pushcfunction(L, explain);
  lua_insert(L, function);
  bool is_ignored = false;
  void (*before)(int) = SIG_DFL;
  if (!is_worker) {
    interrupted = L;
    before = signal(SIGINT, on_interrupt);
    is_ignored = before == SIG_IGN;
    if (is_ignored) signal(SIGINT, SIG_IGN);
  }
  int status = lua_pcall(L, arguments, results, function);
  if (!is_worker && !is_ignored) signal(SIGINT, before);
  lua_remove(L, function);
  return status;
}

int call_report(lua_State *L, const struct options *options, int status) {
  if (status == LUA_OK) return status;
  const char *message = lua_tostring(L, -1);
  if (call_stopped_by() == 0) {
    if (message == NULL) message = "(error message is no string)";
    const char *name = options->program; /* one write: processes do not mix */
    fprintf(stderr, "%s%s%s\n", name != NULL ? name : "", name != NULL ? ": " : "", message);
  }
  lua_pop(L, 1);
  return status;
}
