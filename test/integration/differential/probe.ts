/**
 * A shell script that tells what a container looks like from inside, section by section; what the host's
 * shared memory holds at that time is no part of it.
 */
const SYSCTLS = [
  'kernel/hostname kernel/domainname kernel/shmmax kernel/shmall kernel/msgmax kernel/sem kernel/shm_rmid_forced',
  'net/ipv4/ip_unprivileged_port_start net/ipv4/ping_group_range net/ipv4/ip_forward fs/mqueue/msg_max',
].join(' ');

const WRITTEN =
  '/proc/sys/kernel/hostname /sys/kernel /proc/sysrq-trigger /etc/w /tmp/w /dev/w /sys/fs/cgroup/w';

export const PROBE = `#!/bin/sh
section() { echo "## $1"; }
echo # a terminal may have shown something already
section mountinfo; cat /proc/self/mountinfo
section status
grep -E '^(Umask|Uid|Gid|Groups|Sig(Pnd|Blk|Ign|Cgt)|ShdPnd|Cap|NoNewPrivs|Seccomp|Cpus_allowed|Mems_allowed|Tracer|FDSize)' /proc/self/status
section limits; cat /proc/self/limits
section cgroup; cat /proc/self/cgroup
section maps; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups
section attr; for name in current exec keycreate; do cat /proc/self/attr/$name 2>&1; done
section personality; cat /proc/self/personality 2>&1
section sysctl; for name in ${SYSCTLS}; do echo "$name $(cat /proc/sys/$name 2>&1)"; done
section dev; find /dev -path '/dev/shm/*' -prune -o -path '/dev/mqueue/*' -prune -o -print | sort |
  while read path; do stat -c '%n %F %a %u:%g %t:%T' "$path"; readlink "$path"; done
section root; find / -xdev -maxdepth 2 | grep -v '^/bin/' | sort | while read path; do stat -c '%n %F %a %u:%g' "$path"; done
section descriptors; for fd in /proc/$$/fd/*; do
  if [ "\${fd##*/}" -lt 3 ]; then echo "\${fd##*/}"; else echo "\${fd##*/} $(readlink $fd | sed 's/:.*//')"; fi; done
section environment; env | sort
section identity; id; hostname; pwd; tty; umask; if [ $$ = 1 ]; then echo first; fi
section terminal; if [ -t 0 ]; then stty size; stty -a | head -1
  stat -c '%n %F %t:%T' /dev/console /dev/pts/0; grep -c /dev/console /proc/self/mountinfo; readlink /proc/self/fd/0; fi
section oom; cat /proc/self/oom_score_adj
section writable; for path in ${WRITTEN}; do
  if touch $path 2>/dev/null; then echo "$path yes"; else echo "$path no"; fi; done
section masked; for path in /proc/kcore /proc/keys /proc/timer_list /sys/firmware /proc/acpi; do
  if [ -s $path ] && head -c 1 $path 2>/dev/null | grep -q .; then echo "$path readable"; else echo "$path $(ls $path 2>&1 | wc -l)"; fi; done
section devices; for node in null zero full random urandom tty deep/xn; do
  [ $node = tty ] && bytes=0 || bytes=1 # a terminal would wait for somebody to type
  if dd if=/dev/$node of=/dev/null bs=1 count=$bytes 2>/dev/null; then echo "$node yes"; else echo "$node no"; fi; done
rm -f /tmp/mem; mknod /tmp/mem c 1 1 && dd if=/tmp/mem of=/dev/null bs=1 count=1 2>&1 | grep -v records
section namespaces; for name in mnt pid uts ipc net user cgroup time; do echo "$name $(readlink /proc/self/ns/$name)"; done
section session; sed 's/.*) //' /proc/self/stat | { read state ppid pgrp session tty rest; echo "$((pgrp == $$)) $((session == $$)) $tty"; }
`;
