# SPDX-License-Identifier: MIT
"""Finds public declarations without a documentation comment in a C++ header.

Not a C++ parser: it cuts a header into tokens, and tokens into declarations,
which is enough to see whether `///` stands before one or `///<` after it.
Needs no doc: what is private, protected or in a namespace `detail` or
`internal`; destructors, `= default`, `= delete`, `override` (documented where
it was first declared), operator== and <=>; forward declarations, friends
without a body, specialisations of std::; enumerators (their enum's comment may
speak for all); the body of a member function whose declaration stands in its
class.
"""
import re

TOKEN = re.compile(r'''
    (?P<space>\s+)
  | (?P<directive>\#(?:\\\n|[^\n])*)
  | (?P<doc>///[^\n]*)
  | (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<string>R"(?P<mark>[^(]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\])*")
  | (?P<word>[A-Za-z_]\w*)
  | (?P<number>\d(?:['.\w])*)
  | (?P<character>'(?:\\.|[^'\\])+')
  | (?P<sign>::|->|<=>|==|&&|\[\[|\]\]|.)
''', re.VERBOSE | re.DOTALL)

CLOSING = {'(': ')', '[': ']', '{': '}', '[[': ']]'}
# Words whose parentheses are not a function's.
NOT_A_FUNCTION = {'alignas', 'decltype', 'explicit', 'noexcept', 'requires',
                  '__attribute__', 'sizeof', 'asm'}
HIDDEN_NAMESPACES = {'detail', 'internal', ''}


class Token:
    def __init__(self, kind, text, line):
        self.kind, self.text, self.line = kind, text, line


def tokens_of(text):
    tokens, line = [], 1
    for match in TOKEN.finditer(text):
        kind, value = match.lastgroup, match.group(0)
        if kind == 'mark':
            kind = 'string'
        if kind == 'directive':
            name = re.match(r'#\s*define\s+(\w+)', value)
            if name:
                tokens.append(Token('macro', name.group(1), line))
        elif kind not in ('space', 'comment'):
            tokens.append(Token(kind, value, line))
        line += value.count('\n')
    return tokens


class Header:
    """Walks the declarations of one header and collects the undocumented."""

    def __init__(self, text):
        self.tokens = tokens_of(text)
        self.at = 0
        self.missing = []  # (line, name)

    def peek(self, ahead=0):
        index = self.at + ahead
        return self.tokens[index].text if index < len(self.tokens) else ''

    def skip_balanced(self):
        """From an opening bracket to behind its closing one."""
        opening = self.peek()
        closing, depth = CLOSING[opening], 0
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.kind == 'sign':
                # `]]` may also close two single brackets: a[b[0]].
                if opening == '[' and token.text in ('[[', ']]'):
                    depth += 2 if token.text == '[[' else -2
                else:
                    depth += (token.text == opening) - (token.text == closing)
            self.at += 1
            if depth <= 0:
                return

    def skip_angles(self):
        """From `<` to behind its `>`; parentheses within may hold anything."""
        depth = 0
        while self.at < len(self.tokens):
            text = self.peek()
            if text in ('(', '{', '['):
                self.skip_balanced()
                continue
            depth += (text == '<') - (text == '>')
            self.at += 1
            if depth == 0:
                return

    # ---- scopes ----

    def walk(self, visible, access='public', owner=''):
        """Declarations up to the `}` of this scope, or the end of the file."""
        documented, last = False, None
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.text == '}' and token.kind == 'sign':
                return
            if token.kind == 'doc':
                if token.text.startswith('///<'):
                    if last is not None and last in self.missing:
                        self.missing.remove(last)
                else:
                    documented = True
                self.at += 1
            elif token.kind == 'macro':
                last = self.note(token.line, token.text, documented, visible)
                documented = False
                self.at += 1
            elif token.text in ('public', 'private', 'protected') \
                    and self.peek(1) == ':':
                access, documented = token.text, False
                self.at += 2
            elif token.text == ';':
                self.at += 1
            elif token.text in ('namespace', 'inline', 'extern') \
                    and self.opens_plain_scope():
                self.plain_scope(visible)
                documented, last = False, None
            else:
                last = self.declaration(
                    documented, visible and access == 'public', owner)
                documented = False

    def note(self, line, name, documented, visible):
        """Remembers what has no doc; returns the entry for a later `///<`."""
        if documented or not visible:
            return None
        entry = (line, name)
        self.missing.append(entry)
        return entry

    def opens_plain_scope(self):
        """namespace a::b {   inline namespace v1 {   extern "C" {"""
        ahead = 0
        while self.peek(ahead) in ('inline', 'extern'):
            ahead += 1
        if self.peek(ahead) == 'namespace':
            while self.peek(ahead) not in ('{', ';', '=', ''):
                ahead += 1
            return self.peek(ahead) == '{'
        return self.peek(ahead).startswith('"') and self.peek(ahead + 1) == '{'

    def plain_scope(self, visible):
        names = []
        is_namespace = False
        while self.peek() != '{':
            is_namespace = is_namespace or self.peek() == 'namespace'
            if self.tokens[self.at].kind == 'word':
                names.append(self.peek())
            self.at += 1
        names = [n for n in names if n not in ('namespace', 'inline', 'extern')]
        hidden = is_namespace and (not names or HIDDEN_NAMESPACES & set(names))
        self.at += 1
        self.walk(visible and not hidden)
        self.at += 1

    # ---- one declaration ----

    def declaration(self, documented, visible, owner):
        start = self.at
        line, words, name, function = None, [], '', False
        template = False
        body = False
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            text = token.text
            if token.kind in ('doc', 'macro'):
                if text.startswith('///<'):
                    documented = True
                self.at += 1
                continue
            if text == '[[':
                self.skip_balanced()
                continue
            if text == 'template' and self.peek(1) == '<':
                template = True
                self.at += 1
                self.skip_angles()
                continue
            if line is None:
                line = token.line
            if text == '}':  # the scope's end: unfinished, leave it to walk()
                break
            if text == ';':
                self.at += 1
                break
            if text in ('class', 'struct', 'union', 'enum') and not function:
                return self.type(documented, visible, words, line)
            if text == 'operator':
                name, function = self.operator_name(), True
                words.append(name)
                continue
            if text in NOT_A_FUNCTION:
                self.at += 1
                words.append(text)
                while self.peek() == '(':
                    self.skip_balanced()
                if text == 'requires' and self.peek() == '{':  # (T t) { ... }
                    self.skip_balanced()
                continue
            if text == '<' and not function:
                self.skip_angles()
                continue
            if text == '(':
                if not function and words:
                    name, function = words[-1], True
                self.skip_balanced()
                continue
            if text == '=':
                words.append('=')
                self.at += 1
                if self.peek() in ('default', 'delete'):
                    words.append(self.peek())
                self.to_semicolon()
                break
            if text == ':' and function:
                self.initialisers()
                continue
            if text == '{':
                self.skip_balanced()
                if function:
                    body = True
                    break
                continue
            if text == '[':
                self.skip_balanced()
                continue
            words.append(text)
            self.at += 1
        if self.at == start:
            self.at += 1
        if not name:
            plain = words[:words.index('=')] if '=' in words else words
            if 'using' in words or 'concept' in words:
                plain = plain[:2]
            name = plain[-1] if plain else '?'
        if exempt(words, name, function, body, template):
            return None
        shown = f'{owner}::{name}' if owner else name
        return self.note(line, shown, documented or self.trailing_doc(),
                         visible)

    def trailing_doc(self):
        """Is the next token `///<`? (walk() passes over it then.)"""
        return self.peek().startswith('///<')

    def operator_name(self):
        """operator+   operator()   operator bool"""
        self.at += 1
        name = 'operator'
        if self.peek() == '(' and self.peek(1) == ')':
            self.at += 2
            return name + '()'
        while self.peek() not in ('(', ''):
            word = self.tokens[self.at].kind == 'word'
            name += ' ' + self.peek() if word else self.peek()
            self.at += 1
        return name

    def initialisers(self):
        """: base_(x), other_{y} up to the constructor's body."""
        self.at += 1
        while self.at < len(self.tokens):
            if self.peek() == '<':
                self.skip_angles()
            elif self.peek() in ('(', '{'):
                self.skip_balanced()
                while self.peek() == '.':  # a pack's ellipsis
                    self.at += 1
                if self.peek() != ',':
                    return
            else:
                self.at += 1

    def to_semicolon(self):
        while self.at < len(self.tokens) and self.peek() != ';':
            if self.peek() in CLOSING:
                self.skip_balanced()
            elif self.peek() == '}':
                return
            else:
                self.at += 1
        self.at += 1

    def type(self, documented, visible, words, line):
        """class X final : public Y { ... };   enum class E : int { kA, kB };"""
        kind = self.peek()
        self.at += 1
        if kind == 'enum' and self.peek() in ('class', 'struct'):
            self.at += 1
        parts = []
        while self.at < len(self.tokens) and self.peek() not in ('{', ';', '('):
            text = self.peek()
            if text == '[[':
                self.skip_balanced()
            elif text == '<':
                self.skip_angles()
            elif text in NOT_A_FUNCTION:
                self.at += 1
                if self.peek() == '(':
                    self.skip_balanced()
            elif text == ':' or text == '=':
                parts.append(text)
                self.at += 1
            else:
                parts.append(text)
                self.at += 1
        head = parts[:parts.index(':')] if ':' in parts else parts
        name = next((p for p in reversed(head) if p != 'final'), '')
        if self.peek() != '{':
            # A forward declaration; or a declaration that names its type as
            # `struct x`, which this library does not write but for friends.
            self.to_semicolon()
            return None
        special = '::' in head and head[0] == 'std'
        entry = None
        if not special:
            entry = self.note(line, name or '(unnamed type)',
                              documented, visible)
        if kind == 'enum':
            self.skip_balanced()
        else:
            self.at += 1
            self.walk(visible and not special,
                      'private' if kind == 'class' else 'public', name)
            self.at += 1  # the closing brace
        self.to_semicolon()
        return entry


def exempt(words, name, function, body, template):
    if not words or words[0] == 'static_assert':
        return True
    if 'friend' in words and not body:
        return True
    if words[0] == 'using' and '=' not in words:
        return True  # using Base::name, using namespace
    if words[0] == 'extern' and template:
        return True
    if not function:
        return False
    if name in ('operator==', 'operator<=>') or '~' in words:
        return True
    if 'default' in words or 'delete' in words or 'override' in words:
        return True
    if words[0] == name and '->' in words:
        return True  # deduction guide
    # The body of a member that its class has declared: Class::name(...) {}
    before = [w for w in words if w != 'operator']
    return name in before and before.index(name) > 0 and \
        before[before.index(name) - 1] == '::'


def undocumented(text):
    """[(line, name)] of what a header's text should document and does not."""
    header = Header(text)
    header.walk(True)
    return sorted(header.missing)
