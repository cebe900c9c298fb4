// Only rules that find faults: layout is the formatter's, unused code is the compiler's and knip's.
import { builtinModules } from 'node:module';
import tseslint from 'typescript-eslint';

const defaultExport = {
  selector: 'ExportDefaultDeclaration',
  message: 'Use a named export.',
};

const codelessError = {
  selector:
    'ThrowStatement > :matches(NewExpression, CallExpression)' +
    '[callee.name=/^(Error|TypeError|RangeError|SyntaxError|EvalError|URIError|AggregateError)$/]',
  message: 'Use NodeError from src/errors.ts: an error without a code cannot be handled by its caller.',
};

const PURE = 'chain/ and consensus/ are pure:';

const impureSyntax = [
  { selector: ':function[async=true]', message: `${PURE} no async function.` },
  { selector: 'AwaitExpression', message: `${PURE} no await.` },
  { selector: 'ForOfStatement[await=true]', message: `${PURE} no await.` },
  { selector: 'ImportExpression', message: `${PURE} no dynamic import.` },
  { selector: 'TSTypeReference > Identifier[name="Promise"]', message: `${PURE} no Promise.` },
  { selector: 'MemberExpression[object.name="Math"][property.name="random"]', message: `${PURE} no randomness.` },
  {
    selector: 'MemberExpression[property.name=/^(localeCompare|toLocale[A-Z][A-Za-z]*)$/]',
    message: `${PURE} no result may depend on the machine's locale.`,
  },
];

const impureGlobals = {
  time: ['Date', 'performance', 'Temporal'],
  timer: ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'requestAnimationFrame'],
  concurrency: ['Promise', 'Atomics', 'WeakRef', 'FinalizationRegistry'],
  randomness: ['crypto'],
  process: ['process', 'console', 'require', 'Buffer'],
  'I/O': ['fetch', 'XMLHttpRequest', 'WebSocket', 'EventSource', 'localStorage', 'indexedDB'],
  locale: ['Intl'],
  'way around these rules': ['globalThis', 'global', 'window', 'self'],
};

export default tseslint.config(
  { ignores: ['node_modules/', 'dist/', 'coverage/', '.testnet/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts', '**/*.tsx'],
    plugins: { '@typescript-eslint': tseslint.plugin },
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-var': 'error',
      'prefer-const': 'error',
      'no-constant-condition': ['error', { checkLoops: false }],
      'no-control-regex': 'error',
      'no-dupe-else-if': 'error',
      'no-self-assign': 'error',
      'no-self-compare': 'error',
      'no-sparse-arrays': 'error',
      'no-unsafe-finally': 'error',
      'no-unsafe-optional-chaining': 'error',
      'use-isnan': 'error',
      'no-restricted-syntax': ['error', defaultExport],

      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/ban-ts-comment': ['error', { 'ts-expect-error': 'allow-with-description' }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/no-array-delete': 'error',
      '@typescript-eslint/no-base-to-string': 'error',
      '@typescript-eslint/no-deprecated': 'error',
      '@typescript-eslint/no-duplicate-type-constituents': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-for-in-array': 'error',
      '@typescript-eslint/no-implied-eval': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-misused-spread': 'error',
      '@typescript-eslint/no-unnecessary-type-assertion': 'error',
      '@typescript-eslint/no-unsafe-argument': 'error',
      '@typescript-eslint/no-unsafe-assignment': 'error',
      '@typescript-eslint/no-unsafe-call': 'error',
      '@typescript-eslint/no-unsafe-enum-comparison': 'error',
      '@typescript-eslint/no-unsafe-member-access': 'error',
      '@typescript-eslint/no-unsafe-return': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/prefer-promise-reject-errors': 'error',
      '@typescript-eslint/require-array-sort-compare': 'error',
      '@typescript-eslint/restrict-plus-operands': ['error', { allowNumberAndString: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, allowDefaultCaseForExhaustiveSwitch: true },
      ],
      '@typescript-eslint/unbound-method': 'error',
    },
  },
  {
    // Tests take parsed JSON and broken values apart freely; forgotten promises are as wrong there as anywhere.
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['{src,protocols,testnet,scripts}/**/*.{ts,tsx,mjs,cjs}'],
    rules: { 'max-lines': ['error', { max: 500, skipBlankLines: false, skipComments: false }] },
  },
  {
    files: ['{src,protocols}/**/*.{ts,tsx}'],
    rules: { 'no-restricted-syntax': ['error', defaultExport, codelessError] },
  },
  {
    files: ['src/{chain,consensus}/**/*.ts'],
    rules: {
      'no-restricted-syntax': ['error', defaultExport, codelessError, ...impureSyntax],
      'no-restricted-globals': [
        'error',
        ...Object.entries(impureGlobals).flatMap(([kind, names]) =>
          names.map((name) => ({ name, message: `${PURE} no ${kind}.` })),
        ),
      ],
      'no-restricted-imports': [
        'error',
        {
          paths: builtinModules.map((name) => ({ name, message: `${PURE} no Node module.` })),
          patterns: [{ group: ['node:*'], message: `${PURE} no Node module.` }],
        },
      ],
    },
  },
);
