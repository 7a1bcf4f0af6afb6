import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { test } from 'node:test';

test('the machine has kernel 6.1, systemd, cgroup v2 and AppArmor', () => {
  assert.match(release(), /^6\.1\./);
  assert.equal(readFileSync('/proc/1/comm', 'utf8').trim(), 'systemd');
  assert.ok(existsSync('/sys/fs/cgroup/cgroup.controllers'));
  assert.equal(readFileSync('/sys/module/apparmor/parameters/enabled', 'utf8').trim(), 'Y');
});
