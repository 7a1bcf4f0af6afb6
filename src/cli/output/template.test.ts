import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderTable } from './table.ts';
import { compileTemplate } from './template.ts';

test('fields, nested fields, json, and text between', () => {
  const value = { A: { B: 1, C: ['x', 'y'] }, D: '<b>' };
  assert.equal(
    compileTemplate('{{.A.B}}-{{ json .D }}\\t{{.A.C}} {{.A}}')(value),
    '1-"\\u003cb\\u003e"\t[x y] map[B:1 C:[x y]]',
  );
});

test('what cannot be rendered is refused by name', () => {
  assert.throws(() => compileTemplate('{{.A')({}), /unclosed action/);
  assert.throws(() => compileTemplate('{{.Nope}}')({ A: 1 }), /no entry for key "Nope"/);
  assert.throws(() => compileTemplate('{{range .A}}'), /does not know \{\{range \.A\}\}/);
  assert.throws(() => compileTemplate('{{.constructor}}')({}), /no entry/);
});

test('columns are as wide as their widest cell', () => {
  assert.equal(
    renderTable(
      ['ID', 'NAME'],
      [
        ['1', 'a'],
        ['22222', 'b'],
      ],
    ),
    'ID      NAME\n1       a\n22222   b\n',
  );
});
