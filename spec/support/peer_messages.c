/*
 * peer_messages.c send|receive|remove KEY ...: System V message queues as plain C programs use
 * them. `send TYPE TEXT...` sends each text, and creates the queue if it is not there; `receive
 * TYPE N` waits for N messages, and prints the type and the text of each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>

struct message {
  long mtype;
  char mtext[8192];
};

int main(int argc, char **argv) {
  struct message message;
  if (argc < 3) return 2;
  const char *command = argv[1];
  int sending = strcmp(command, "send") == 0, receiving = strcmp(command, "receive") == 0;
  int id = msgget(atoi(argv[2]), sending ? IPC_CREAT | 0600 : 0);
  if (id == -1) return perror("msgget"), 1;
  if (strcmp(command, "remove") == 0) return msgctl(id, IPC_RMID, NULL) == -1;
  if (argc < 5) return 2;
  message.mtype = strtol(argv[3], NULL, 0);
  for (int i = 4; sending && i < argc; i++) {
    size_t length = strlen(argv[i]);
    memcpy(message.mtext, argv[i], length);
    if (msgsnd(id, &message, length, 0) == -1) return perror("msgsnd"), 1;
  }
  long type = message.mtype;
  for (int i = 0, n = atoi(argv[4]); receiving && i < n; i++) {
    ssize_t length = msgrcv(id, &message, sizeof message.mtext, type, 0);
    if (length == -1) return perror("msgrcv"), 1;
    printf("%ld %.*s\n", message.mtype, (int)length, message.mtext);
    fflush(stdout);
  }
  return 0;
}
