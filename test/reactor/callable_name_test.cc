// SPDX-License-Identifier: MIT
#include "reactor/callable_name.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <link.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <type_traits>
#include <typeinfo>
#include <vector>

#include "reactor/partial.h"

// What a message calls a callback. The names come from two compilers'
// manglings, and from the ELF file that the function is in.

namespace rondo {

// -- what there is to name ---------------------------------------------------

void public_function(int) {}
static void static_function() {}
static std::string text_function() { return ""; }
template <class T>
void template_function(T) {}
namespace inner {
static int overloaded(int) { return 1; }
static int overloaded(const char*) { return 2; }
}  // namespace inner

struct Functor {
  void operator()() const {}
  struct Nested {
    void operator()() const {}
  };
  static void static_member(int) {}
  auto make_lambda() {
    return [this] { return this; };
  }
};

template <class T>
struct Wrapper {
  void operator()() const {}
};

auto make_lambda(int number) {
  return [number] { return number; };
}
auto make_generic_lambda() {
  return [](auto value) { return value; };
}
auto make_plain_lambda() {
  return [] {};
}
auto make_lambda_in_lambda() {
  return [] { return [] {}; }();
}
auto make_functor_in_lambda() {
  return [] {
    struct Local {
      void operator()() const {}
    };
    return Local();
  }();
}

namespace {

void unnamed_function() {}
struct UnnamedFunctor {
  void operator()() const {}
};

// -- functions ---------------------------------------------------------------

// "A function pointer gives the function's name"; "without its parameters";
// "static functions included".
TEST(CallableName, NamesFunctions) {
  EXPECT_EQ(callable_name(&public_function), "rondo::public_function");
  EXPECT_EQ(callable_name(&static_function), "rondo::static_function");
  EXPECT_EQ(callable_name(&text_function), "rondo::text_function");
  EXPECT_EQ(callable_name(&Functor::static_member),
            "rondo::Functor::static_member");
  EXPECT_EQ(callable_name(&unnamed_function), "rondo::unnamed_function");
}

TEST(CallableName, NamesOverloadsAlike) {
  EXPECT_EQ(callable_name(static_cast<int (*)(int)>(inner::overloaded)),
            "rondo::inner::overloaded");
  EXPECT_EQ(callable_name(static_cast<int (*)(const char*)>(inner::overloaded)),
            "rondo::inner::overloaded");
}

// A template's mangled name has its return type, which is no part of its name.
TEST(CallableName, NamesTemplateFunctions) {
  EXPECT_EQ(callable_name(&template_function<int>),
            "rondo::template_function<int>");
  EXPECT_EQ(callable_name(&template_function<void (*)(int)>),
            "rondo::template_function<void (*)(int)>");
}

// A function of a shared library is exported: no file is read for it.
TEST(CallableName, NamesFunctionsOfALibrary) {
  EXPECT_EQ(callable_name(&std::terminate), "std::terminate");
  EXPECT_EQ(callable_name(&::dlsym), "dlsym");
}

// "a stripped program gives `<function at 0x...>`": so does what is in no
// file at all.
TEST(CallableName, OfWhatIsNoFunctionIsItsAddress) {
  EXPECT_EQ(function_name(reinterpret_cast<const void*>(0x10)),
            "<function at 0x10>");
  static int data = 0;
  char text[40];
  std::snprintf(text, sizeof text, "<function at %p>",
                static_cast<void*>(&data));
  EXPECT_EQ(function_name(&data), text);
}

// "Slow [...] and cached": and asked by several threads at once.
TEST(CallableName, MayBeAskedByAnyThread) {
  std::vector<std::thread> threads;
  std::vector<std::string> names(4);
  for (std::string& name : names) {
    threads.emplace_back([&name] {
      for (int count = 0; count < 100; ++count) {
        name = callable_name(&static_function);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(names, std::vector<std::string>(4, "rondo::static_function"));
}

// -- objects -----------------------------------------------------------------

// "The name of a function object's type: a class's own name"
TEST(CallableName, NamesFunctionObjectsByTheirType) {
  EXPECT_EQ(callable_name(Functor()), "rondo::Functor");
  EXPECT_EQ(callable_name(Functor::Nested()), "rondo::Functor::Nested");
  EXPECT_EQ(callable_name(UnnamedFunctor()), "rondo::UnnamedFunctor");
  EXPECT_EQ(callable_name(Wrapper<int>()), "rondo::Wrapper<int>");
  EXPECT_EQ(callable_name(std::function<void()>()), "std::function<void ()>");
  EXPECT_EQ(callable_name(std::less<int>()), "std::less<int>");
}

// "`main::<lambda>` for a lambda in main()": as Python's `main.<locals>.
// <lambda>`, whatever the compiler calls it.
TEST(CallableName, NamesLambdas) {
  EXPECT_EQ(callable_name(make_lambda(1)), "rondo::make_lambda(int)::<lambda>");
  EXPECT_EQ(callable_name(make_generic_lambda()),
            "rondo::make_generic_lambda()::<lambda>");
  EXPECT_EQ(callable_name(Functor().make_lambda()),
            "rondo::Functor::make_lambda()::<lambda>");
  const auto here = [] {};
  const std::string name = callable_name(here);
  EXPECT_TRUE(name.ends_with("TestBody()::<lambda>")) << name;
  EXPECT_EQ(name.find("anonymous"), std::string::npos) << name;
}

TEST(CallableName, NamesWhatIsInsideALambda) {
  const std::string lambda = callable_name(make_lambda_in_lambda());
  EXPECT_TRUE(lambda.starts_with(
      "rondo::make_lambda_in_lambda()::<lambda>::operator()"))
      << lambda;
  EXPECT_TRUE(lambda.ends_with("::<lambda>")) << lambda;
  const std::string functor = callable_name(make_functor_in_lambda());
  EXPECT_TRUE(functor.starts_with(
      "rondo::make_functor_in_lambda()::<lambda>::operator()"))
      << functor;
  EXPECT_TRUE(functor.ends_with("::Local")) << functor;
}

TEST(CallableName, NamesATemplateOfALambda) {
  const auto lambda = make_lambda(1);
  EXPECT_EQ(callable_name(Wrapper<std::remove_const_t<decltype(lambda)>>()),
            "rondo::Wrapper<rondo::make_lambda(int)::<lambda>>");
}

// A lambda without captures may be handed over as a pointer.
TEST(CallableName, NamesALambdaThatBecameAFunction) {
  void (*const function)() = make_plain_lambda();
  EXPECT_EQ(callable_name(function), "rondo::make_plain_lambda()::<lambda>");
}

TEST(CallableName, NamesATypeThatAMemberPointerIs) {
  struct Local {
    void f() {}
  };
  const std::string name = callable_name(&Local::f);
  EXPECT_TRUE(name.starts_with("void (")) << name;
  EXPECT_TRUE(name.ends_with("::*)()")) << name;
}

/// A type whose name is `text`.
class TypeCalled : public std::type_info {
 public:
  explicit TypeCalled(const char* text) : std::type_info(text) {}
};

TEST(CallableName, MayBeCutShort) {
  EXPECT_EQ(function_object_name(TypeCalled("f()::{lambda(int")),
            "f()::<lambda>");
  EXPECT_EQ(function_object_name(TypeCalled("f()::$_")), "f()::<lambda>");
}

// "The demangled name of a type: `app::Session`."
TEST(TypeName, IsDemangled) {
  EXPECT_EQ(type_name(typeid(int)), "int");
  EXPECT_EQ(type_name(typeid(Functor)), "rondo::Functor");
  EXPECT_EQ(type_name(typeid(const char*)), "char const*");
}

// -- ELF files that are not what they should be ------------------------------

/// A shared library that was loaded from a copy, which is another file by now.
/// The code is what it was; the place of its symbol tables is not.
class ReplacedLibrary {
 public:
  /// Calls `change(bytes)` on what the file is to hold.
  template <class Change>
  explicit ReplacedLibrary(Change&& change) {
    // Small, and loaded everywhere: the unwinder.
    Dl_info info{};
    ::dladdr(::dlsym(RTLD_DEFAULT, "_Unwind_GetIP"), &info);
    std::string bytes = contents(info.dli_fname);
    write(bytes);
    handle_ = ::dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ == nullptr) return;
    // One byte into a function is where no function begins.
    inside_ = static_cast<const char*>(::dlsym(handle_, "_Unwind_GetIP")) + 1;
    ::unlink(path_.c_str());  // the mapping keeps the old file
    change(bytes, address_in_file());
    write(bytes);
  }
  ReplacedLibrary(const ReplacedLibrary&) = delete;
  ReplacedLibrary& operator=(const ReplacedLibrary&) = delete;
  ~ReplacedLibrary() {
    if (handle_ != nullptr) ::dlclose(handle_);
    ::unlink(path_.c_str());
    ::rmdir(directory_.c_str());
  }

  bool loaded() const { return handle_ != nullptr; }
  std::string name() const { return function_name(inside_); }
  std::string fallback() const {
    char text[40];
    std::snprintf(text, sizeof text, "<function at %p>",
                  static_cast<const void*>(inside_));
    return text;
  }

 private:
  static std::string contents(const char* path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream bytes;
    bytes << file.rdbuf();
    return bytes.str();
  }
  void write(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ElfW(Addr) address_in_file() const {
    Dl_info info{};
    link_map* map = nullptr;
    ::dladdr1(inside_, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP);
    return reinterpret_cast<ElfW(Addr)>(inside_) - map->l_addr;
  }
  static std::string make_directory() {
    std::string name = testing::TempDir() + "rondo-XXXXXX";
    return ::mkdtemp(name.data());
  }

  const std::string directory_ = make_directory();
  const std::string path_ = directory_ + "/library.so";
  void* handle_ = nullptr;
  const char* inside_ = nullptr;
};

template <class T>
void append(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// An ELF file with a symbol table of one function.
struct OneSymbol {
  ElfW(Addr) value = 0;
  unsigned char info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC);
  ElfW(Word) name_at = 1;
  ElfW(Word) link = 2;  // the section that holds the names
  std::string names = std::string("\0", 1) + "_ZN5rondo4fakeEv";
  ElfW(Xword) names_cut = 0;    // bytes that the sections claim to have,
  ElfW(Xword) symbols_cut = 0;  // and have not

  std::string file() const {
    ElfW(Ehdr) header{};
    header.e_shoff = sizeof header;
    header.e_shnum = 3;
    ElfW(Shdr) sections[3]{};
    sections[1].sh_type = SHT_SYMTAB;
    sections[1].sh_offset = sizeof header + sizeof sections;
    sections[1].sh_size = sizeof(ElfW(Sym)) + symbols_cut;
    sections[1].sh_link = link;
    sections[2].sh_type = SHT_STRTAB;
    sections[2].sh_offset = sections[1].sh_offset + sizeof(ElfW(Sym));
    sections[2].sh_size = names.size() + names_cut;
    ElfW(Sym) symbol{};
    symbol.st_value = value;
    symbol.st_info = info;
    symbol.st_name = name_at;
    std::string bytes;
    append(bytes, header);
    append(bytes, sections);
    append(bytes, symbol);
    return bytes + names;
  }
};

/// The name that is found in a file of one symbol, changed by `change`.
template <class Change>
std::string name_from(Change&& change) {
  const ReplacedLibrary library([&](std::string& bytes, ElfW(Addr) address) {
    OneSymbol symbol;
    symbol.value = address;
    change(symbol);
    bytes = symbol.file();
  });
  if (!library.loaded()) return "the library cannot be loaded";
  const std::string name = library.name();
  return name == library.fallback() ? "none" : name;
}

TEST(SymbolFile, IsWhereANameComesFrom) {
  EXPECT_EQ(name_from([](OneSymbol&) {}), "rondo::fake");
}

TEST(SymbolFile, GivesNoNameForAnotherAddressOrKind) {
  EXPECT_EQ(name_from([](OneSymbol& symbol) { ++symbol.value; }), "none");
  EXPECT_EQ(name_from([](OneSymbol& symbol) {
              symbol.info = ELF64_ST_INFO(STB_LOCAL, STT_OBJECT);
            }),
            "none");
}

// None of these is worth more than a message without a name.
TEST(SymbolFile, MayBeBroken) {
  EXPECT_EQ(name_from([](OneSymbol& symbol) { symbol.link = 3; }), "none")
      << "no such section";
  EXPECT_EQ(name_from([](OneSymbol& symbol) { symbol.name_at = 1000; }), "none")
      << "the name lies outside";
  EXPECT_EQ(name_from([](OneSymbol& symbol) { symbol.names_cut = 100; }),
            "none")
      << "the file ends in the names";
  EXPECT_EQ(name_from([](OneSymbol& symbol) { symbol.symbols_cut = 24'000; }),
            "none")
      << "the file ends in the symbols";
}

// What a section claims is not believed: no memory is asked for it.
TEST(SymbolFile, MayClaimToBeHuge) {
  for (const ElfW(Xword) claim :
       {ElfW(Xword){1} << 40, ElfW(Xword){1} << 62, ~ElfW(Xword){0} - 1000}) {
    EXPECT_EQ(name_from([&](OneSymbol& symbol) { symbol.names_cut = claim; }),
              "none");
    EXPECT_EQ(name_from([&](OneSymbol& symbol) { symbol.symbols_cut = claim; }),
              "none");
  }
}

TEST(SymbolFile, MayBeCutShort) {
  for (const std::size_t size : {std::size_t{0}, sizeof(ElfW(Ehdr)) - 1,
                                 sizeof(ElfW(Ehdr)), sizeof(ElfW(Ehdr)) + 10}) {
    const ReplacedLibrary library([&](std::string& bytes, ElfW(Addr)) {
      bytes = OneSymbol().file().substr(0, size);
    });
    ASSERT_TRUE(library.loaded());
    EXPECT_EQ(library.name(), library.fallback()) << size << " bytes left";
  }
}

TEST(SymbolFile, MayBeGarbage) {
  const ReplacedLibrary library([&](std::string& bytes, ElfW(Addr)) {
    bytes.assign(bytes.size(), '\xff');
  });
  ASSERT_TRUE(library.loaded());
  EXPECT_EQ(library.name(), library.fallback());
}

}  // namespace
}  // namespace rondo
