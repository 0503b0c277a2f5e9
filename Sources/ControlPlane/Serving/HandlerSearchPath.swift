// SPDX-License-Identifier: Apache-2.0

internal import Foundation

/// Where handlers are looked for, the first folder first: what the operator named, what was installed with this
/// executable, then the system's tcmu-runner.
public enum HandlerSearchPath {
    /// The installed folder, seen from that of the executable.
    static let installed = "../lib/martlet/handlers"
    private static let systemRoots = ["/usr/lib", "/usr/lib64"]
    private static let systemFolder = "tcmu-runner"

    /// The folders of handlers that came with this executable, without links.
    static var shipped: Set<String> {
        guard let folder = Environment.executableFolder else { return [] }
        return Set(["\(folder)/\(installed)", folder].map { Environment.realPath($0) })
    }

    /// All folders that are there, each once. A folder that was named and is not there is a failure.
    public static func folders(named: [String]) throws(Failure) -> [String] {
        for path in named where !Environment.isFolder(path) {
            throw .usage("--handler-path \(path) is no folder: name one that holds handler_NAME.so files")
        }
        return folders(named: named, executableFolder: Environment.executableFolder, systemRoots: systemRoots)
    }

    static func folders(named: [String], executableFolder: String?, systemRoots: [String]) -> [String] {
        var candidates = named
        if let executableFolder {
            // In a build folder handlers lie beside the executable.
            candidates += ["\(executableFolder)/\(installed)", executableFolder]
        }
        for root in systemRoots {
            let inside = (try? FileManager.default.contentsOfDirectory(atPath: root))?.sorted() ?? []
            // Debian keeps libraries by architecture: those are the folders with two dashes.
            let architectures = inside.filter { $0.filter { $0 == "-" }.count >= 2 }
            candidates += architectures.map { "\(root)/\($0)/\(systemFolder)" } + ["\(root)/\(systemFolder)"]
        }
        var seen: Set<String> = []
        return candidates.filter { path in
            let real = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
            return Environment.isFolder(path) && seen.insert(real).inserted
        }
    }
}
