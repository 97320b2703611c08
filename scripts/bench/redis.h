/*
 * redis.h: a Redis server of a benchmark's own, on a Unix socket in a folder of its own. Touches
 * libc.
 */
#ifndef SCRIPTS_BENCH_REDIS_H
#define SCRIPTS_BENCH_REDIS_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct redis_server {
  pid_t pid;
  char path[100]; /* of its socket */
};

/* A connection, or -1. */
static inline int redis_connect(const struct redis_server *server) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, server->path, sizeof server->path);
  int connection = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(connection, (struct sockaddr *)&address, sizeof address) == 0) return connection;
  close(connection);
  return -1;
}

static inline void redis_stop(struct redis_server *server) {
  kill(server->pid, SIGKILL);
  waitpid(server->pid, NULL, 0);
}

/* Debian's redis-tools has the server's program by another name; it looks at the one it is given.
 */
static inline void redis_run(const char *folder, const char *path) {
  static const char *const programs[] = {"redis-server", "redis-check-rdb"};
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int i = 0; i < 2; i++)
    execlp(programs[i], "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir",
           folder, "--logfile", "/dev/null", (char *)NULL);
  _exit(1);
}

/* Starts one, and waits until it answers; false where there is none. */
static inline bool redis_start(struct redis_server *server, const char *folder) {
  memset(server->path, 0, sizeof server->path);
  snprintf(server->path, sizeof server->path, "%.80s/redis.sock", folder);
  server->pid = fork();
  if (server->pid == 0) redis_run(folder, server->path);
  for (int i = 0; i < 300; i++) {
    struct timespec tenth = {.tv_nsec = 10000000};
    nanosleep(&tenth, NULL);
    int connection = redis_connect(server);
    if (connection >= 0) return close(connection) == 0;
    if (waitpid(server->pid, NULL, WNOHANG) != 0) return false;
  }
  redis_stop(server);
  return false;
}

#endif
