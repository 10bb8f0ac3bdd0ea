// toolchain.cc: the only C++ file. Runs Clang, LLD and LLVM's archive writer in this process. codegen.h
// declares its functions for C. Clang's driver finds the C library, crt files and libgcc of a target, so
// Debian's cross packages and --sysroot work as with clang itself.
#include <csignal>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <unistd.h>
#include <vector>

#include "clang/Basic/Diagnostic.h"
#include "clang/Basic/Version.h"
#include "clang/CodeGen/CodeGenAction.h"
#include "clang/Driver/Compilation.h"
#include "clang/Driver/Driver.h"
#include "clang/Driver/Job.h"
#include "clang/Frontend/CompilerInstance.h"
#include "clang/Frontend/CompilerInvocation.h"
#include "clang/Frontend/FrontendActions.h"
#include "clang/Frontend/Utils.h"
#include "clang/Lex/PreprocessorOptions.h"
#include "lld/Common/Driver.h"
#include "llvm/ObjCopy/ConfigManager.h"
#include "llvm/ObjCopy/ObjCopy.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Passes/PassPlugin.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"

extern "C" {
#include "codegen.h"
}

LLD_HAS_DRIVER(elf)

// Debian's LLVM registers the passes of Polly, whose archive is in a package of its own. bertc uses none.
llvm::PassPluginLibraryInfo getPollyPluginInfo()
{
	return {LLVM_PLUGIN_API_VERSION, "Polly", LLVM_VERSION_STRING, [](llvm::PassBuilder &) {}};
}

namespace
{

void new_failed() { out_of_memory(0); }

void llvm_failed(void *, const char *, bool) { out_of_memory(0); }

// The name in memory of the text that kernels begin with.
constexpr const char *PREFIX_NAME = "prefix.h";

// LLVM's registries are global: they are filled once in the life of the process, and only for the targets of
// targets.def. LLVM would abort for lack of memory, and temporary files would stay.
void initialize_once()
{
	static std::once_flag once;
	std::call_once(once, [] {
		std::set_new_handler(new_failed);
		llvm::install_bad_alloc_error_handler(llvm_failed);
		LLVMInitializeX86TargetInfo(), LLVMInitializeX86Target(), LLVMInitializeX86TargetMC();
		LLVMInitializeX86AsmPrinter(), LLVMInitializeX86AsmParser();
		LLVMInitializeAArch64TargetInfo(), LLVMInitializeAArch64Target(), LLVMInitializeAArch64TargetMC();
		LLVMInitializeAArch64AsmPrinter(), LLVMInitializeAArch64AsmParser();
		LLVMInitializeARMTargetInfo(), LLVMInitializeARMTarget(), LLVMInitializeARMTargetMC();
		LLVMInitializeARMAsmPrinter(), LLVMInitializeARMAsmParser();
		// LLVM gives a signal stack to the first thread that writes a file, which should be the main thread.
		// Its handlers would swallow SIGQUIT, and remove files at a SIGHUP that nohup ignores.
		struct sigaction before[NSIG];
		for (int number : {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM})
			sigaction(number, nullptr, &before[number]);
		llvm::sys::SetInfoSignalFunction(nullptr);
		for (int number : {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM})
			sigaction(number, &before[number], nullptr);
	});
}

// Turns Clang's messages into bertc's. An error in emitted C is a bug of the emitter; the message names the
// emitted file.
class Collector : public clang::DiagnosticConsumer
{
  public:
	explicit Collector(Diag *diag) : diag(diag) {}
	void HandleDiagnostic(clang::DiagnosticsEngine::Level level, const clang::Diagnostic &info) override
	{
		clang::DiagnosticConsumer::HandleDiagnostic(level, info);
		if (level < clang::DiagnosticsEngine::Warning)
			return;
		llvm::SmallString<256> text;
		info.FormatDiagnostic(text);
		std::string file;
		unsigned line = 0;
		if (info.hasSourceManager() && info.getLocation().isValid()) {
			clang::PresumedLoc place = info.getSourceManager().getPresumedLoc(info.getLocation());
			if (place.isValid())
				file = llvm::StringRef(place.getFilename()).rsplit('/').second.str(), line = place.getLine();
		}
		if (level == clang::DiagnosticsEngine::Warning)
			diag_warn(diag, 0, "Clang on the emitted code, line %u: %s", line, text.c_str());
		else
			diag_error(diag, EXIT_RUN, 0, "Clang on the emitted code%s%s, line %u: %s",
				file.empty() ? "" : " ", file.c_str(), line, text.c_str());
	}

  private:
	Diag *diag;
};

// A run of Clang's driver that executes nothing. Its jobs have the arguments that clang would pass to cc1 or
// to the linker.
struct Plan {
	std::vector<std::string> text;
	llvm::IntrusiveRefCntPtr<clang::DiagnosticsEngine> engine;
	std::unique_ptr<clang::driver::Driver> driver;
	std::unique_ptr<clang::driver::Compilation> compilation;

	Plan(const Target *target, const char *flags, const char *sysroot, std::vector<std::string> arguments,
		Diag *diag)
	{
		text = {LLVM_PREFIX "/bin/clang", std::string("--target=") + target->triple};
		if (sysroot)
			text.push_back(std::string("--sysroot=") + sysroot);
		for (llvm::StringRef rest = flags; !rest.empty();) {
			auto [flag, tail] = rest.split(' ');
			text.push_back(flag.str());
			rest = tail;
		}
		text.insert(text.end(), arguments.begin(), arguments.end());
		std::vector<const char *> argv;
		for (const std::string &argument : text)
			argv.push_back(argument.c_str());
		engine = new clang::DiagnosticsEngine(
			new clang::DiagnosticIDs, new clang::DiagnosticOptions, new Collector(diag));
		driver = std::make_unique<clang::driver::Driver>(
			LLVM_PREFIX "/bin/clang", "x86_64-linux-gnu", *engine);
		driver->setCheckInputsExist(false);
		compilation.reset(driver->BuildCompilation(argv));
	}
	// The arguments of the only job, without the program's name; NULL if the driver reported an error.
	const llvm::opt::ArgStringList *arguments() const
	{
		if (!compilation || compilation->containsError() || compilation->getJobs().size() != 1)
			return nullptr;
		return &compilation->getJobs().begin()->getArguments();
	}
};

bool missing_sysroot(const Target *target, const char *sysroot, const char *what, Diag *diag)
{
	llvm::StringRef triple = target->triple;
	const char *packages = "libc6-dev libgcc-12-dev";
	if (triple.starts_with("aarch64"))
		packages = "libc6-dev-arm64-cross libgcc-12-dev-arm64-cross";
	else if (triple.starts_with("arm"))
		packages = "libc6-dev-armhf-cross libgcc-12-dev-armhf-cross";
	return diag_error(diag, EXIT_UNSUPPORTED, 0,
		"no C library for %s: %s was not found%s%s; on Debian install %s, or give --sysroot=DIR, "
		"or use --emit=c",
		target->triple, what, sysroot ? " under " : "", sysroot ? sysroot : "", packages);
}

// The link job has the full path of every crt file, or its bare name if the driver did not find it.
bool check_crt(
	const Target *target, const char *sysroot, const llvm::opt::ArgStringList &arguments, Diag *diag)
{
	for (const char *argument : arguments) {
		llvm::StringRef name = argument;
		if (name.starts_with("crt") && name.ends_with(".o") && !name.contains('/'))
			return missing_sysroot(target, sysroot, argument, diag);
	}
	return true;
}

bool check_sysroot(const Target *target, const char *sysroot, Diag *diag)
{
	Plan plan(
		target, target->flags, sysroot, {"-static", "-fuse-ld=lld", "-x", "none", "a.o", "-o", "a"}, diag);
	const llvm::opt::ArgStringList *arguments = plan.arguments();
	return arguments ? check_crt(target, sysroot, *arguments, diag)
					 : diag_error(diag, EXIT_RUN, 0, "Clang cannot link for %s", target->triple);
}

// Makes a message of every line of LLD's output.
bool report_lines(llvm::StringRef text, Diag *diag)
{
	while (!text.empty()) {
		auto [line, rest] = text.split('\n');
		text = rest;
		if (!line.trim().empty())
			diag_error(diag, EXIT_RUN, 0, "%s", line.trim().str().c_str());
	}
	return diag->errors == 0 ? diag_error(diag, EXIT_RUN, 0, "linking failed") : false;
}

// The headers that a file includes, those of the system too.
class Headers : public clang::DependencyCollector
{
	bool needSystemDependencies() override { return true; }
};

bool run_linker(llvm::ArrayRef<const char *> arguments, Diag *diag)
{
	std::string messages, ignored;
	llvm::raw_string_ostream error_stream(messages), output_stream(ignored);
	lld::Result result = lld::lldMain(arguments, output_stream, error_stream, {{lld::Gnu, &lld::elf::link}});
	return result.retCode == 0 ? true : report_lines(messages, diag);
}

// LLVM's own streams end the process when a disk is full.
bool write_file(const char *path, llvm::StringRef bytes, Diag *diag)
{
	std::error_code code;
	llvm::raw_fd_ostream out(path, code);
	if (!code) {
		out << bytes;
		out.close();
		code = out.error();
		out.clear_error();
	}
	return code ? diag_error(diag, EXIT_RUN, 0, "%s: cannot be written: %s", path, code.message().c_str())
				: true;
}

// A stream of Clang's into a file that outlives it, so that a full disk is a message.
class Forward : public llvm::raw_pwrite_stream
{
  public:
	explicit Forward(llvm::raw_fd_ostream &file) : file(file) { SetUnbuffered(); }

  private:
	llvm::raw_fd_ostream &file;
	void write_impl(const char *data, size_t bytes) override { file.write(data, bytes); }
	void pwrite_impl(const char *data, size_t bytes, uint64_t at) override { file.pwrite(data, bytes, at); }
	uint64_t current_pos() const override { return file.tell(); }
};

// Makes hidden symbols of an object local: what calls them is inside, and another model has the same names.
bool localize(const char *path, Diag *diag)
{
	auto failed = [&](llvm::Error error) {
		return diag_error(diag, EXIT_RUN, 0, "%s: %s", path, llvm::toString(std::move(error)).c_str());
	};
	auto file = llvm::object::ObjectFile::createObjectFile(path);
	if (!file)
		return failed(file.takeError());
	llvm::objcopy::ConfigManager config;
	config.Common.InputFilename = config.Common.OutputFilename = path;
	config.ELF.LocalizeHidden = true;
	llvm::SmallString<0> object;
	llvm::raw_svector_ostream out(object);
	if (llvm::Error error = llvm::objcopy::executeObjcopyOnBinary(config, *file->getBinary(), out))
		return failed(std::move(error));
	return write_file(path, object, diag);
}

// Paths of this build, which decide nothing.
bool is_place(llvm::StringRef argument)
{
	return argument.starts_with("-fdebug-compilation-dir=")
		|| argument.starts_with("-fcoverage-compilation-dir=");
}

// malloc'd, as C frees it.
char *copied(llvm::StringRef bytes)
{
	char *copy = static_cast<char *>(checked_malloc(bytes.size() + 1));
	memcpy(copy, bytes.data(), bytes.size());
	return copy;
}

// Absolute paths, each with the NUL after it: what is in memory or in a directory of this build has none.
void keep_headers(CompileJob *job, const clang::DependencyCollector &headers)
{
	std::string list;
	for (const std::string &path : headers.getDependencies())
		if (path != job->name && (!job->prefix || path != job->prefix) && path != PREFIX_NAME)
			list += path, list += '\0';
	job->headers = copied(list);
	job->headers_bytes = list.size();
}

} // namespace

struct Toolchain {
	std::vector<std::string> arguments; // of cc1
	std::string identity;
};

namespace
{

// An instance of Clang for a file in memory.
bool prepare(clang::CompilerInstance &clang, const Toolchain *toolchain, const CompileJob *job,
	const char *name, clang::InputKind kind, Diag *diag)
{
	std::vector<const char *> cc1;
	for (const std::string &argument : toolchain->arguments)
		cc1.push_back(argument.c_str());
	clang.createDiagnostics(new Collector(diag));
	auto invocation = std::make_shared<clang::CompilerInvocation>();
	if (!clang::CompilerInvocation::CreateFromArgs(*invocation, cc1, clang.getDiagnostics()))
		return diag_error(diag, EXIT_RUN, 0, "Clang refused its arguments");
	invocation->getFrontendOpts().Inputs = {clang::FrontendInputFile(name, kind)};
	invocation->getFrontendOpts().DisableFree = false; // this process lives on
	invocation->getCodeGenOpts().DisableFree = false;
	invocation->getCodeGenOpts().MainFileName = name;
	invocation->getDiagnosticOpts().ShowCarets = false; // no "2 warnings generated." on standard error
	invocation->getPreprocessorOpts().addRemappedFile(
		name, llvm::MemoryBuffer::getMemBufferCopy(llvm::StringRef(job->text, job->bytes), name).release());
	clang.setInvocation(invocation);
	return true;
}

bool succeeded(bool ran, const clang::CompilerInstance &clang, Diag *diag)
{
	if (ran && !clang.getDiagnostics().hasErrorOccurred())
		return true;
	return diag->errors ? false : diag_error(diag, EXIT_RUN, 0, "compiling the emitted code failed");
}

// The object of what is too large for memory twice.
bool compile_to_file(clang::CompilerInstance &clang, const CompileJob *job, Diag *diag)
{
	std::error_code code;
	llvm::raw_fd_ostream file(job->object_path, code);
	if (!code) {
		clang.setOutputStream(std::make_unique<Forward>(file));
		clang::EmitObjAction action;
		bool ran = clang.ExecuteAction(action);
		file.close();
		code = file.error();
		file.clear_error();
		if (!code)
			return succeeded(ran, clang, diag);
	}
	return diag_error(
		diag, EXIT_RUN, 0, "%s: cannot be written: %s", job->object_path, code.message().c_str());
}

} // namespace

extern "C" Toolchain *toolchain_new(
	const Target *target, const char *flags, bool pic, const char *sysroot, Diag *diag)
{
	initialize_once();
	std::vector<std::string> arguments = {"-std=c17", pic ? "-fPIC" : "-fno-pie", "-pthread", "-c", "-x", "c",
		"-ffunction-sections", "-fdata-sections"};
	for (const char *flag : {COMPILE_FLAGS})
		arguments.push_back(flag);
	arguments.insert(arguments.end(), {"piece.c", "-o", "piece.o"});
	Plan plan(target, flags, sysroot, arguments, diag);
	const llvm::opt::ArgStringList *cc1 = plan.arguments();
	if (!cc1)
		return diag_error(diag, EXIT_RUN, 0, "Clang cannot compile for %s", target->triple), nullptr;
	std::string headers = plan.driver->ResourceDir + "/include/stddef.h";
	if (access(headers.c_str(), R_OK) != 0)
		return diag_error(diag, EXIT_UNSUPPORTED, 0,
				   "Clang's own headers are missing: no %s; on Debian install libclang-common-19-dev, "
				   "or give --cc=PROG, or use --emit=c",
				   headers.c_str()),
			   nullptr;
	if (!check_sysroot(target, sysroot, diag))
		return nullptr;
	auto *toolchain = new Toolchain;
	// the list opens with -cc1, which is for the program's own main
	for (const char *argument : llvm::ArrayRef(*cc1).drop_front())
		if (!is_place(argument))
			toolchain->arguments.push_back(argument);
	toolchain->identity = clang::getClangFullVersion();
	for (const std::string &argument : toolchain->arguments)
		toolchain->identity += '\n' + argument;
	return toolchain;
}

extern "C" void toolchain_free(Toolchain *toolchain) { delete toolchain; }

extern "C" const char *toolchain_identity(const Toolchain *toolchain) { return toolchain->identity.c_str(); }

extern "C" bool toolchain_compile(const Toolchain *toolchain, CompileJob *job, Diag *diag)
{
	clang::CompilerInstance clang;
	if (!prepare(clang, toolchain, job, job->name, clang::Language::C, diag))
		return false;
	auto headers = std::make_shared<Headers>();
	clang.addDependencyCollector(headers);
	if (job->prefix) {
		// whether its headers are still the same is the cache's question, which asks their contents
		clang.getPreprocessorOpts().ImplicitPCHInclude = job->prefix;
		clang.getPreprocessorOpts().DisablePCHOrModuleValidation = clang::DisableValidationForModuleKind::PCH;
	}
	llvm::SmallString<0> object;
	bool good;
	if (job->object_path) {
		good = compile_to_file(clang, job, diag);
	} else {
		clang.setOutputStream(std::make_unique<llvm::raw_svector_ostream>(object));
		clang::EmitObjAction action;
		good = succeeded(clang.ExecuteAction(action), clang, diag);
	}
	if (good && !job->object_path)
		job->object = copied(object), job->object_bytes = object.size();
	if (good)
		keep_headers(job, *headers);
	return good;
}

extern "C" bool toolchain_precompile(const Toolchain *toolchain, CompileJob *job, Diag *diag)
{
	clang::CompilerInstance clang;
	clang::InputKind kind = clang::InputKind(clang::Language::C).getHeader();
	if (!prepare(clang, toolchain, job, PREFIX_NAME, kind, diag))
		return false;
	auto headers = std::make_shared<Headers>();
	clang.addDependencyCollector(headers);
	clang.getFrontendOpts().OutputFile = job->object_path;
	clang.getFrontendOpts().ProgramAction = clang::frontend::GeneratePCH;
	clang::GeneratePCHAction action;
	if (!succeeded(clang.ExecuteAction(action), clang, diag))
		return false;
	keep_headers(job, *headers);
	return true;
}

extern "C" bool toolchain_link(EmitKind kind, bool is_static, const Target *target,
	const char *const *objects, const char *out, const char *sysroot, Diag *diag)
{
	const char *whole = is_static ? "-static" : "-pie";
	std::vector<std::string> arguments = {
		"-fuse-ld=lld", kind == EMIT_SHARED ? "-shared" : whole, "-pthread"};
	if (kind == EMIT_SHARED)
		arguments.push_back("-Wl,--no-undefined");
	arguments.push_back("-Wl,--gc-sections");
	// lld keeps its thread pool. A process forked later (tune's candidates) would wait for the pool's threads
	// forever
	arguments.push_back("-Wl,--threads=1");
	// One large write gives the page cache large pages, a mapping small ones. A program that streams its
	// weights is 12 % faster so (MiniLM-L6 in f32, 8 tokens: 1.54 ms instead of 1.75)
	arguments.push_back("-Wl,--no-mmap-output-file");
	if (*target->link_flags)
		arguments.push_back(target->link_flags);
	arguments.push_back("-Wl,--whole-archive");
	for (const char *const *object = objects; *object; object++)
		arguments.push_back(*object);
	arguments.insert(arguments.end(), {"-Wl,--no-whole-archive", "-lm", "-o", out});
	Plan plan(target, target->flags, sysroot, arguments, diag);
	const llvm::opt::ArgStringList *list = plan.arguments();
	if (!list)
		return diag_error(diag, EXIT_RUN, 0, "Clang cannot link for %s", target->triple);
	if (!check_crt(target, sysroot, *list, diag))
		return false;
	std::vector<const char *> link = {"ld.lld"};
	link.insert(link.end(), list->begin(), list->end());
	return run_linker(link, diag);
}

extern "C" bool toolchain_join(const char *const *objects, const char *out, Diag *diag)
{
	std::vector<const char *> link = {"ld.lld", "-r", "--threads=1", "--whole-archive"};
	for (const char *const *object = objects; *object; object++)
		link.push_back(*object);
	link.insert(link.end(), {"-o", out});
	return run_linker(link, diag) && localize(out, diag);
}

extern "C" bool toolchain_archive_file(const char *name, const char *file, const char *out, Diag *diag)
{
	auto data = llvm::MemoryBuffer::getFile(file);
	if (!data)
		return diag_error(diag, EXIT_RUN, 0, "%s: %s", file, data.getError().message().c_str());
	const ArchiveMember member = {name, (*data)->getBufferStart(), (*data)->getBufferSize()};
	return toolchain_archive(&member, 1, out, diag);
}

extern "C" bool toolchain_archive(const ArchiveMember *list, int32_t count, const char *out, Diag *diag)
{
	std::vector<llvm::NewArchiveMember> members;
	for (const ArchiveMember *row = list; row < list + count; row++)
		members.emplace_back(llvm::MemoryBufferRef(llvm::StringRef(row->data, row->bytes), row->name));
	auto archive = llvm::writeArchiveToBuffer(members, llvm::SymtabWritingMode::NormalSymtab,
		llvm::object::Archive::K_GNU,
		/*Deterministic=*/true, /*Thin=*/false);
	if (!archive)
		return diag_error(diag, EXIT_RUN, 0, "%s: %s", out, llvm::toString(archive.takeError()).c_str());
	return write_file(out, (*archive)->getBuffer(), diag);
}

extern "C" const char *toolchain_host_cpu(void)
{
	static const std::string name = llvm::sys::getHostCPUName().str();
	return name.c_str();
}
