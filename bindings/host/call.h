/*
 * call.h: calls into Lua from outside: with a traceback, and signals that raise an error in the
 * script. Touches lua.h, signals.
 */
#ifndef SHMX_HOST_CALL_H
#define SHMX_HOST_CALL_H

#include "host/options.h"

#include <lua.h>

enum { SIGNAL_EXIT = 128 }; /* and the signal: what a shell makes of a process that was killed */

/*
 * Calls a function with its arguments, as lua_pcall does; an error gets a traceback. Meanwhile
 * Ctrl-C raises "interrupted!" in the script, the second time it kills, as in lua5.4.
 */
int call(lua_State *L, int arguments, int results);

/* Tells on standard error what went wrong, pops it, and returns the status. */
int call_report(lua_State *L, const struct options *options, int status);

/*
 * From now on SIGINT raises "interrupted!", SIGTERM and SIGHUP "terminated!" in this state, once:
 * for a worker, whose parent ends it in the end. It says nothing on standard error about that.
 */
void call_stop_on_signals(lua_State *L);

/* The signal that such an error ended the script with; or 0. */
int call_stopped_by(void);

/*
 * Ends this process by the signal, as if it had not listened: so a shell sees what ended it. The
 * kernel does not do that to process 1 of a container: then it returns the exit code that a shell
 * makes of the signal.
 */
int call_die_of(int number);

/* The kernel keeps signals without a handler from process 1: SIGINT, SIGTERM and SIGHUP get one
 * that ends this process at once, with the exit code that a shell makes of the signal. */
void call_end_on_signals(void);

#endif
