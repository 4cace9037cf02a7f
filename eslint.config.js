// The import rule of docs/architecture.md ("the arrows go one way") is held here, with documentation on public exports
// and the two rules that Temporal code cannot live without: no floating promises, and a clean workflow sandbox.
import tseslint from 'typescript-eslint';
import jsdoc from 'eslint-plugin-jsdoc';
import { builtinModules } from 'node:module';

const ground = ['text', 'threads', 'locks', 'onnx'];
const data = ['structures', 'models', 'latent', 'datasets', 'config', 'threads', 'text'];

/** room -> rooms it may import. A room may always import itself. */
const mayImport = {
  ...Object.fromEntries(ground.map((room) => [room, []])),
  structures: ['text'],
  config: ['text'],
  latent: ['config', 'onnx', 'text'],
  infra: ['locks'],
  models: ['structures', 'threads', 'onnx', 'text'],
  datasets: ['config', 'locks', 'text'],
  activities: data,
  workflows: ['config'], // and types of activities, see below
  workers: [...data, 'activities', 'workflows', 'infra'],
  report: ['datasets', 'config', 'text'],
  cli: ['workers', 'workflows', 'datasets', 'config', 'models', 'report', 'infra', 'text'],
  // What is no part of the package, and what no part of it may import.
  findings: ['infra'],
  bench: [...ground, ...data, 'activities', 'workflows', 'workers', 'infra', 'test'],
};
const rooms = Object.keys(mayImport);
const unpublished = ['findings', 'bench', 'test'];
/** Rooms that take of config/ what loads no zod. */
const withoutZod = ['latent', 'workflows'];

const importRule = (room) => {
  const others = [...new Set([...rooms, ...unpublished])];
  const forbidden = others.filter((other) => other !== room && !mayImport[room].includes(other));
  const patterns = [
    {
      regex: `^(\\.\\./)+(${forbidden.join('|')})/`,
      message: `${room}/ may import only ${mayImport[room].join(', ') || 'nothing of koine'} (docs/architecture.md).`,
      ...(room === 'workflows' ? { allowTypeImports: true } : {}),
    },
  ];
  const paths = [];
  if (room === 'workflows') {
    for (const name of builtinModules) {
      if (name === 'assert') continue;
      paths.push({ name, message: 'Workflow code runs in a sandbox without Node builtins.' });
      paths.push({ name: `node:${name}`, message: 'Workflow code runs in a sandbox without Node builtins.' });
    }
    paths.push({ name: 'zod', message: 'zod is validated at the edges; it stays out of the workflow bundle.' });
  }
  if (withoutZod.includes(room))
    patterns.push({
      regex: '/config/(runSpec|settings|specIssues)',
      allowTypeImports: true,
      message: 'These load zod: import types only.',
    });
  return {
    files: [`${room}/**/*.{ts,mjs}`],
    rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns, paths }] },
  };
};

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', 'out/**', 'models/export/**', 'models/reference/**'] },
  ...tseslint.configs.recommendedTypeChecked,
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { jsdoc },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      // An async function without await turns what it throws into a rejection, as callers of an async interface expect.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
    },
  },
  {
    files: rooms.filter((room) => !unpublished.includes(room)).map((room) => `${room}/**/*.ts`),
    rules: {
      'jsdoc/require-jsdoc': [
        'error',
        {
          publicOnly: true,
          require: { FunctionDeclaration: true, ClassDeclaration: true },
          contexts: ['TSInterfaceDeclaration', 'TSTypeAliasDeclaration'],
          checkConstructors: false,
        },
      ],
    },
  },
  { files: ['**/*.js', '**/*.mjs'], ...tseslint.configs.disableTypeChecked },
  ...rooms.map(importRule),
);
