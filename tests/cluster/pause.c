/* The first process of a Pod: holds its namespaces, and takes leave of processes without a parent. */
#include <signal.h>
#include <unistd.h>
#include <sys/wait.h>

static void end(int signal) {
  (void)signal;
  _exit(0);
}

static void reap(int signal) {
  (void)signal;
  while (waitpid(-1, NULL, WNOHANG) > 0) {
  }
}

int main(void) {
  struct sigaction action = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
  signal(SIGINT, end);
  signal(SIGTERM, end);
  sigaction(SIGCHLD, &action, NULL);
  for (;;) {
    pause();
  }
}
