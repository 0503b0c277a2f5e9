// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// The machine's NUMA nodes, as sysfs tells them. It stands in this layer because threads and their memory are placed
/// by it, whatever protocol runs on them.
public struct Topology: Equatable, Sendable {
    public struct Node: Equatable, Sendable {
        /// The kernel's number; there may be holes between them.
        public var number: Int
        /// Those that are online. None for a node that has nothing but memory.
        public var processors: ProcessorSet
        /// Bytes; 0 for a node that has nothing but processors, nil when it is not known.
        public var memoryByteCount: UInt64?

        public init(number: Int, processors: ProcessorSet, memoryByteCount: UInt64?) {
            self.number = number
            self.processors = processors
            self.memoryByteCount = memoryByteCount
        }
    }

    /// By their numbers. Empty on a kernel that knows no nodes, and where sysfs is not to be had.
    public var nodes: [Node]
    /// What could not be understood, a sentence each: it was left out.
    public var defects: [String]

    public init(nodes: [Node], defects: [String] = []) {
        self.nodes = nodes
        self.defects = defects
    }

    public static let systemRoot = "/sys/devices/system"
    /// Bytes of a file that are read: lists of thousands of processors are shorter.
    private static let longestFileByteCount = 64 << 10

    /// The nodes under `root`, a folder with "node" and "cpu" in it.
    public static func read(root: String = systemRoot) -> Topology {
        var topology = Topology(nodes: [])
        guard let text = contents("\(root)/node/online") else { return topology }
        guard let numbers = ProcessorSet(list: text), !numbers.isEmpty else {
            topology.defects.append("\(root)/node/online is no list of nodes: all is taken for one node")
            return topology
        }
        var rest = onlineProcessors(root, &topology.defects)
        for number in numbers.numbers {
            let folder = "\(root)/node/node\(number)"
            var processors = ProcessorSet()
            if let list = contents("\(folder)/cpulist").flatMap({ ProcessorSet(list: $0) }) {
                processors = rest.map { list.intersection($0) } ?? list
            } else {
                topology.defects.append("\(folder)/cpulist is no list of processors: node \(number) is left out")
            }
            // A processor is on one node, whatever the files say.
            rest = rest?.subtracting(processors)
            topology.nodes.append(
                Node(number: number, processors: processors, memoryByteCount: memory(folder, number)))
        }
        return topology
    }

    /// Nil when it is not known; then nodes are believed.
    private static func onlineProcessors(_ root: String, _ defects: inout [String]) -> ProcessorSet? {
        guard let text = contents("\(root)/cpu/online") else { return nil }
        guard let processors = ProcessorSet(list: text), !processors.isEmpty else {
            defects.append("\(root)/cpu/online is no list of processors: those of the nodes are taken to be online")
            return nil
        }
        return processors
    }

    /// "Node 0 MemTotal:  8039472 kB".
    private static func memory(_ folder: String, _ number: Int) -> UInt64? {
        guard let text = contents("\(folder)/meminfo") else { return nil }
        for line in text.split(separator: "\n") {
            let words = line.split { $0 == " " || $0 == "\t" }
            guard words.count == 5, words[2] == "MemTotal:", words[4] == "kB" else { continue }
            guard let count = UInt64(words[3]), count <= UInt64.max >> 10 else { return nil }
            return count << 10
        }
        return nil
    }

    private static func contents(_ path: String) -> String? {
        // The path is a C string during the call.
        let descriptor = unsafe clinux_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: longestFileByteCount)
        var count = 0
        while count < bytes.count {
            // The buffer is ours, and the call writes no more than what is left of it.
            let result = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe CLinux.read(descriptor, buffer.baseAddress! + count, buffer.count - count)
            }
            if result < 0 { return nil }
            if result == 0 { break }
            count += result
        }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
